//! What is given back behind those who read, in whatever order they say how far that is.

use super::*;
use crate::disk::spill::SpillHome;

#[test]
fn what_is_given_back_goes_to_the_highest_place_that_was_told_and_not_to_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let home = SpillHome::find(Some(folder.path().into())).unwrap();
    let spill = Spill::new(home, 1 << 20).unwrap();
    for _ in 0..10 {
        spill.append(&[b'x'; 100_000]).unwrap().unwrap();
    }
    let (events, _events) = unbounded();
    let (mut disk, heard) = Disk::new(Store::Spill(spill), events);
    disk.give_back(900_000);
    // Somebody who has said less before was slower to tell the thread.
    disk.give_back(10);
    // Nobody is left who could tell it more.
    disk.floors = unbounded().0;
    let mut given_back = 0;
    disk.give_back_all(&heard, || given_back += 1);
    assert_eq!(given_back, 1);
}
