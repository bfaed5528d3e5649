//! Films: size, tracks and duration.

use super::*;

fn boxed(name: &[u8], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    [&u32::try_from(content.len() + 8).unwrap().to_be_bytes()[..], name, &content].concat()
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

const ONE: u32 = 1 << 16;
const UPRIGHT: [u32; 9] = [ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30];
const TURNED: [u32; 9] = [0, ONE, 0, 0_u32.wrapping_sub(ONE), 0, 0, 90 << 16, 0, 1 << 30];

fn track(id: u32, kind: &[u8], size: (u32, u32), matrix: [u32; 9], samples: u32) -> Vec<u8> {
    let head = numbers(&[0, 0, 0, id, 0, 0, 0, 0, 0, 0]);
    let size = numbers(&[size.0 << 16, size.1 << 16]);
    let header = boxed(b"tkhd", &[&head, &numbers(&matrix), &size]);
    let media = boxed(b"mdhd", &[&numbers(&[0, 0, 0, 100, 0, 0])]);
    let handler = boxed(b"hdlr", &[&[0; 8], kind, &[0; 13]]);
    let times = boxed(b"stts", &[&numbers(if samples == 0 { &[0, 0] } else { &[0, 1, 1, 1] })]);
    let tables = boxed(b"minf", &[&boxed(b"stbl", &[&times])]);
    boxed(b"trak", &[&header, &boxed(b"mdia", &[&media, &handler, &tables])])
}

fn film(duration: u32, tracks: &[Vec<u8>], more: &[u8], fragments: &[Vec<u8>]) -> Vec<u8> {
    let header = boxed(b"mvhd", &[&numbers(&[0, 0, 0, 1000, duration])]);
    let moov = boxed(b"moov", &[&header, &tracks.concat(), more]);
    let start = boxed(b"ftyp", &[b"isom\0\0\0\0isom"]);
    [start, moov, fragments.concat(), boxed(b"mdat", &[&[0; 4]])].concat()
}

fn plain(tracks: &[Vec<u8>]) -> Vec<u8> {
    film(4000, tracks, &[], &[])
}

/// The same film with other bytes.
fn padded(mut film: Vec<u8>) -> Vec<u8> {
    film.extend(boxed(b"free", &[&[0; 4]]));
    film
}

#[test]
fn a_film_keeps_the_size_that_it_is_shown_with_however_it_is_stored() {
    let stored = |size, matrix| plain(&[track(1, b"vide", size, matrix, 1)]);
    let original = stored((160, 90), TURNED);
    assert!(accepted(&original, &stored((90, 160), UPRIGHT)));
    assert!(accepted(&original, &padded(original.clone())));
    assert_eq!(verdict(&original, &stored((160, 90), UPRIGHT)).0, [Check::Resolution]);
}

#[test]
fn a_film_that_is_turned_the_other_way_is_found_where_both_say_so() {
    let minus = 0_u32.wrapping_sub(ONE);
    let upside_down = [minus, 0, 0, 0, minus, 0, 160 << 16, 90 << 16, 1 << 30];
    let turned_back = [0, minus, 0, ONE, 0, 0, 0, 160 << 16, 1 << 30];
    let mirrored = [minus, 0, 0, 0, ONE, 0, 160 << 16, 0, 1 << 30];
    let stored = |size, matrix| plain(&[track(1, b"vide", size, matrix, 1)]);
    let film = |matrix| stored((160, 90), matrix);
    assert_eq!(verdict(&film(TURNED), &film(turned_back)).0, [Check::Resolution]);
    assert_eq!(verdict(&film(UPRIGHT), &film(upside_down)).0, [Check::Resolution]);
    assert!(accepted(&film(upside_down), &padded(film(upside_down))));
    // The pixels may have been rotated instead.
    assert_eq!(verdict(&film(upside_down), &film(UPRIGHT)), (Vec::new(), vec![Check::Resolution]));
    for turned in [TURNED, turned_back] {
        assert!(accepted(&film(turned), &stored((90, 160), UPRIGHT)));
        assert!(accepted(&stored((90, 160), UPRIGHT), &film(turned)));
    }
    assert!(accepted(&film(mirrored), &film(UPRIGHT)));
}

#[test]
fn tracks_that_do_not_play_may_go_and_are_said_to() {
    let picture = track(1, b"vide", (160, 90), UPRIGHT, 1);
    let sound = track(2, b"soun", (0, 0), UPRIGHT, 1);
    let text = track(3, b"sbtl", (160, 20), UPRIGHT, 1);
    let times = track(4, b"tmcd", (160, 90), UPRIGHT, 1);
    let original = plain(&[picture.clone(), sound.clone(), text.clone(), times.clone()]);
    let without_times = plain(&[picture.clone(), sound.clone(), text.clone()]);
    assert_eq!(verdict(&original, &without_times), (Vec::new(), vec![Check::Tracks]));
    for lost in [[&picture, &sound, &times], [&picture, &text, &times]] {
        assert_eq!(verdict(&original, &plain(&lost.map(Clone::clone))).0, [Check::Tracks]);
    }
}

/// A film of this many fragments of one second, each of which states its duration in another way.
fn fragmented(duration: u32, fragments: u32, samples: u32) -> Vec<u8> {
    let extends = boxed(b"trex", &[&numbers(&[0, 1, 1, 50, 0, 0])]);
    let more = boxed(b"mvex", &[&boxed(b"mehd", &[&numbers(&[0, 4000])]), &extends]);
    let fragments: Vec<_> = (0..fragments)
        .map(|number| {
            let (header, run) = match number % 3 {
                0 => (numbers(&[0, 1]), numbers(&[0, 2])),
                1 => (numbers(&[0x8, 1, 25]), numbers(&[0, 4])),
                _ => (numbers(&[0x8, 1, 25]), numbers(&[0x305, 2, 0, 0, 40, 9, 60, 9])),
            };
            boxed(b"moof", &[&boxed(b"traf", &[&boxed(b"tfhd", &[&header]), &boxed(b"trun", &[&run])])])
        })
        .collect();
    film(duration, &[track(1, b"vide", (160, 90), UPRIGHT, samples)], &more, &fragments)
}

#[test]
fn a_film_in_fragments_is_as_long_as_they_are() {
    let whole = plain(&[track(1, b"vide", (160, 90), UPRIGHT, 1)]);
    // In the second film, the first second is not in a fragment.
    for film in [fragmented(0, 4, 0), fragmented(1000, 3, 1), fragmented(u32::MAX, 4, 0)] {
        assert!(accepted(&film, &whole) && accepted(&whole, &film));
    }
    for stated in [0, u32::MAX, 4000] {
        for left in [0, 1, 3] {
            assert_eq!(verdict(&fragmented(0, 4, 0), &fragmented(stated, left, 0)).0, [Check::Duration]);
        }
    }
}

#[test]
fn a_length_that_the_original_does_not_state_is_not_checked() {
    let whole = plain(&[track(1, b"vide", (160, 90), UPRIGHT, 1)]);
    for unknown in [0, u32::MAX] {
        let original = film(unknown, &[track(1, b"vide", (160, 90), UPRIGHT, 1)], &[], &[]);
        assert_eq!(verdict(&original, &whole), (Vec::new(), vec![Check::Duration]));
        assert_eq!(verdict(&whole, &original).0, [Check::Duration]);
    }
}
