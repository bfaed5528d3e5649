//! A PDF of two pages.

/// The list of pages, and one without the last page; of the same length, so that no offset changes.
const BOTH_PAGES: &str = "/Kids [3 0 R 6 0 R] /Count 2";
const FIRST_PAGE: &str = "/Kids [3 0 R      ] /Count 1";

pub(super) fn encode(seed: u64) -> Vec<u8> {
    let text = format!("BT /F1 24 Tf 60 700 Td (Datasheet number {seed}) Tj ET");
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages {BOTH_PAGES} >>"),
        page.to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        page.to_owned(),
    ];
    let mut pdf = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(pdf.len());
        pdf.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let table = pdf.len();
    pdf.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in offsets {
        pdf.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    let size = objects.len() + 1;
    pdf.extend(format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").bytes());
    pdf
}

pub(super) fn without_last_page(file: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(file).replace(BOTH_PAGES, FIRST_PAGE).into_bytes()
}
