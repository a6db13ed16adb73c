//! Memory that is kept from one step to the next.

use std::hint::black_box;

/// What a step takes at most, and gives back at its end.
const STEP: usize = 256 << 20;
const PIECE: usize = 16 << 20;

/// Of what a step gives back, glibc returns what lies at the end of its heap to the system, which then clears it for the next
/// step, page by page: a third of the time of a step. So something small is put at the end, behind room for a step. Takes no
/// memory before it is used, and does nothing with other allocators.
pub(crate) fn keep() -> impl Sized {
    // Blocks up to the largest that was ever given back are not mapped each by itself any more.
    drop(room(2 * PIECE - 4096));
    let pieces: Vec<_> = (0..STEP / PIECE).map(|_| room(PIECE)).collect();
    let end = room(PIECE / 16);
    drop(pieces);
    end
}

fn room(bytes: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(bytes))
}
