use serde_json::{Value, json};

fn asset() -> Value {
    json!({
        "id": "1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF", "name": "Alpine lake", "fileName": "lake.jpg", "type": "image",
        "description": "d", "copyright": "c", "extension": ["jpg"], "fileSize": "1234", "activeVersion": 2,
        "brandId": "B", "dateCreated": "2026-01-01T00:00:00Z", "dateModified": "2026-01-02T00:00:00+01:00",
        "archive": 0, "limited": "1", "isPublic": true, "orientation": "landscape", "tags": ["a", 7],
        "propertyOptions": ["o"], "property_hash": "x", "property_other": ["a", "b"],
        "limitedDate": "2027-01-01T00:00:00Z", "mediaItems": [
            {"type": "original", "version": 1, "active": 0, "size": 7, "fileName": "a.jpg"},
            {"type": "original", "version": "2", "active": "1", "size": null},
            {"type": "additional", "name": "a-0123456789ab.jpg"},
        ],
    })
}

fn bytes(values: impl IntoIterator<Item = Value>) -> Vec<Vec<u8>> {
    values.into_iter().map(|value| value.to_string().into_bytes()).collect()
}

pub(super) fn rows() -> Vec<Vec<u8>> {
    let bare =
        json!({"id": "A", "dateCreated": "2026-01-01T00:00:00Z", "dateModified": "2026-01-01T00:00:00Z"});
    bytes([asset(), bare, json!({"id": "A2"}), json!(7)])
}

pub(super) fn markers() -> Vec<Vec<u8>> {
    let (hash, other) = ("ab".repeat(32), "cd".repeat(32));
    let record = format!("{hash} {other} v3 500");
    let texts = [
        String::new(),
        record.clone(),
        format!("opted-out; copied-to A-1; {record}; {other} {hash} v2 7"),
        format!("copy-of A-1; {record}"),
        "opted-out".to_owned(),
        "0123456789abcdef0123456789ABCDEF".to_owned(),
        hash,
        "somebody's text; v1".to_owned(),
    ];
    texts.map(String::into_bytes).into()
}

/// Responses, after the byte that selects their kind.
pub(super) fn of_bynder() -> Vec<Vec<u8>> {
    let pages = [
        json!([asset(), 7]),
        json!({"media": [asset()], "total": {"count": 7}}),
        json!({"count": {"total": "8", "type": {"image": 3}}, "media": []}),
    ];
    let errors =
        [json!({"message": "no", "statuscode": 404}), json!({"error_description": "https://a.example/b?c"})];
    let pages = bytes(pages).into_iter().map(|page| [&b"\x07"[..], &page].concat());
    pages.chain((0..).zip(bytes(errors)).map(|(kind, error)| [&[kind], &error[..]].concat())).collect()
}

pub(super) fn of_imatag() -> Vec<Vec<u8>> {
    bytes([
        json!({"id": "m1", "status": "processing"}),
        json!({"id": 7, "status": "READY", "url": "https://a.example/b"}),
        json!({"id": "m1", "status": "already_watermarked"}),
        json!({"id": "m1", "status": "failed", "error": "too small"}),
        json!({"detail": "Invalid token."}),
        json!({"non_field_errors": ["Too", "many."], "title": ["This field is required."]}),
    ])
}
