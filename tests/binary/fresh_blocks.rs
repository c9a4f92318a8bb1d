//! A consumer that takes all that there is with each read, and works then, gets as much with each as it can take,
//! though freshness rules.

use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use crate::harness::eventually;
use crate::harness::stalled::Stalled;

/// A weir with endlessly many of these, and a consumer that reads so much at a time and works for so long, until a read
/// brings it this much.
#[track_caller]
fn gets(args: &[&str], record: &[u8], block: usize, work: Duration, wanted: usize) {
    let mut weir = Stalled::new(args);
    let case = weir.case.clone();
    let flood = weir.flooding(record.repeat((64 << 10) / record.len() + 1));
    let mut bytes = vec![0; block];
    eventually(&format!("{case}: a read brings {wanted} bytes"), || {
        let n = weir.output().read(&mut bytes).expect("read");
        // What it does with them: not a time in which anything is to happen.
        sleep(work);
        n >= wanted
    });
    weir.leave();
    flood.done();
}

#[test]
fn who_reads_blocks_and_works_then_gets_more_than_a_record_with_each_read() {
    let line = [&[b'x'; 99][..], b"\n"].concat();
    for work in [2, 10] {
        let work = Duration::from_millis(work);
        gets(&["-l", "--shed", "oldest"], &line, 4096, work, 3000);
        gets(&["--shed", "oldest"], b"x", 4096, work, 3000);
    }
}

#[test]
fn a_record_that_is_longer_than_a_page_comes_with_one_read() {
    let long = [&[b'x'; 29_999][..], b"\n"].concat();
    let work = Duration::from_millis(20);
    let args = ["-l", "--shed", "oldest", "-b", "256KiB"];
    gets(&args, &long, 64 << 10, work, long.len());
    let args = ["-l", "--max-age", "1h", "-b", "256KiB"];
    gets(&args, &long, 64 << 10, work, long.len());
}
