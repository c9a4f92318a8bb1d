//! What lies in a spool, to the byte. Pure: bytes in, values out, no file is touched here.
//!
//! # Version 1
//!
//! All numbers are little-endian and unsigned. `crc` is CRC-32 (IEEE 802.3). Every binary file begins
//! with eight letters that say what it is and a version of four bytes, which stay where they are in
//! every version to come; a version that is not known here is refused, and nothing is touched.
//!
//! A spool is a directory:
//!
//! | name | is |
//! |---|---|
//! | `N.stream` | a segment: the bytes of the stream as they came, and nothing else; N is the offset in the stream of the first one, in 20 digits. `cat *.stream` is the stream |
//! | `N.index` | a header and the entries of that segment, 64 bytes each |
//! | `state` | the places of the outputs, see [`state`](super::state) |
//! | `lock` | locked by the weir that owns the spool; holds `weir.lck 1` and its PID, as text |
//! | `damaged-N` | a part that was cut out at the offset N |
//!
//! An index begins with
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `weir.idx` |
//! | 8 | 4 | version |
//! | 12 | 4 | how many times the spool had been opened |
//! | 16 | 8 | offset in the stream of the segment's first byte |
//! | 24 | 8 | the spool's identity |
//! | 32 | 16 | the system's `boot_id` when the segment was made |
//! | 60 | 4 | crc of the 60 bytes before |
//!
//! and goes on with entries, in the order of the stream, without gaps:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | offset in the stream of the first byte |
//! | 8 | 8 | number of the record that this byte belongs to, from 0 |
//! | 16 | 8 | when it came: nanoseconds since 1970 |
//! | 24 | 4 | length in bytes |
//! | 28 | 4 | records that end in it |
//! | 32 | 4 | crc of the bytes |
//! | 36 | 4 | bit 0: damaged, cut out; bit 1: a record begins behind it; bit 2: the next byte belongs to the record of its last |
//! | 40 | 8 | with a fixed size: bytes of that record that came before the first byte |
//! | 60 | 4 | crc of the 60 bytes before |
//!
//! What a weir has written and not yet entered when it is killed is the rest of the last segment.

/// The version that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 1;

/// Bytes of a header and of an entry.
pub(crate) const ROW: usize = 64;

/// Most bytes of one entry: what must be read to check any part of it.
pub(crate) const ENTRY_MOST: usize = 256 << 10;

const INDEX: [u8; 8] = *b"weir.idx";

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read<T> {
    /// This.
    Good(T),
    /// It was written by a later weir.
    Unknown(u32),
    /// Something has changed them.
    Damaged,
}

/// How the stream is divided into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Not at all.
    Bytes,
    /// Each ends with a newline.
    Lines,
    /// Each ends with a zero byte.
    Zero,
    /// Each has that many bytes.
    Fixed(u64),
}

impl std::fmt::Display for Framing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Framing::Bytes => f.write_str("plain bytes"),
            Framing::Lines => f.write_str("--lines"),
            Framing::Zero => f.write_str("--null"),
            Framing::Fixed(size) => write!(f, "--record-size {size}"),
        }
    }
}

/// A part of a segment, as its index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    /// Offset in the stream of its first byte.
    pub at: u64,
    /// Number of the record that this byte belongs to.
    pub first_record: u64,
    /// When that byte came: nanoseconds since 1970.
    pub arrival: u64,
    /// Its bytes.
    pub len: u32,
    /// Records that end in it.
    pub records: u32,
    /// The checksum of its bytes.
    pub crc: u32,
    /// Bytes of the first record that came before. (Where records have a terminator the first spools say only whether there
    /// are any.)
    pub begun: u64,
    /// Cut out: its bytes are not to be delivered.
    pub damaged: bool,
    /// Whether a record begins behind it. Its bytes tell that only as long as they are what was written; not said by
    /// those who do not know.
    pub at_record: Option<bool>,
}

impl Entry {
    /// Offset in the stream of the byte behind it.
    pub(crate) fn end(&self) -> u64 {
        self.at.saturating_add(u64::from(self.len))
    }

    /// Whether that byte of the stream is in it.
    pub(crate) fn holds(&self, at: u64) -> bool {
        self.at <= at && at < self.end()
    }

    /// Whether these are the bytes that were entered.
    pub(crate) fn matches(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.len as usize && checksum(0, bytes) == self.crc
    }

    pub(crate) fn encode(&self) -> [u8; ROW] {
        let mut row = Row::default();
        row.u64(0, self.at);
        row.u64(8, self.first_record);
        row.u64(16, self.arrival);
        row.u32(24, self.len);
        row.u32(28, self.records);
        row.u32(32, self.crc);
        let at_record = self.at_record.map_or(0, |it| if it { 2 } else { 4 });
        row.u32(36, u32::from(self.damaged) | at_record);
        row.u64(40, self.begun);
        row.seal()
    }

    /// The entry in these bytes, if nothing has changed them.
    pub(crate) fn decode(row: &[u8; ROW]) -> Option<Entry> {
        holds_its_checksum(row)
            .then(|| Entry::decode_unchecked(row))
            .filter(|entry| entry.len > 0 && entry.at.checked_add(u64::from(entry.len)).is_some())
    }

    /// What these bytes say, whether or not they have been changed.
    pub(crate) fn decode_unchecked(row: &[u8; ROW]) -> Entry {
        let flags = u32_at(row, 36);
        Entry {
            at: u64_at(row, 0),
            first_record: u64_at(row, 8),
            arrival: u64_at(row, 16),
            len: u32_at(row, 24),
            records: u32_at(row, 28),
            crc: u32_at(row, 32),
            begun: u64_at(row, 40),
            damaged: flags & 1 != 0,
            at_record: match flags & 6 {
                2 => Some(true),
                4 => Some(false),
                _ => None,
            },
        }
    }
}

/// The head of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexHeader {
    /// How many times the spool had been opened.
    pub opening: u32,
    /// Offset in the stream of the segment's first byte.
    pub base: u64,
    /// The spool's identity.
    pub spool: u64,
    /// The start of the system in which the segment was made.
    pub boot: [u8; 16],
}

impl IndexHeader {
    pub(crate) fn encode(&self) -> [u8; ROW] {
        let mut row = Row::head(INDEX);
        row.u32(12, self.opening);
        row.u64(16, self.base);
        row.u64(24, self.spool);
        row.bytes(32, &self.boot);
        row.seal()
    }

    pub(crate) fn decode(row: &[u8; ROW]) -> Read<IndexHeader> {
        match version_of(row, INDEX) {
            Read::Unknown(version) => Read::Unknown(version),
            Read::Damaged => Read::Damaged,
            Read::Good(()) => {
                let mut boot = [0; 16];
                boot.copy_from_slice(&row[32..48]);
                Read::Good(IndexHeader {
                    opening: u32_at(row, 12),
                    base: u64_at(row, 16),
                    spool: u64_at(row, 24),
                    boot,
                })
            }
        }
    }
}

/// Whether a header is `magic`'s, whole, and of a version known here.
pub(crate) fn version_of(row: &[u8; ROW], magic: [u8; 8]) -> Read<()> {
    if row[..8] != magic || !holds_its_checksum(row) {
        return Read::Damaged;
    }
    match u32_at(row, 8) {
        VERSION => Read::Good(()),
        other => Read::Unknown(other),
    }
}

/// Whether the last four bytes are the checksum of those before.
fn holds_its_checksum(row: &[u8; ROW]) -> bool {
    checksum(0, &row[..ROW - 4]) == u32_at(row, ROW - 4)
}

/// The checksum of `bytes`, going on from `before`.
pub(crate) fn checksum(before: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    hasher.update(bytes);
    hasher.finalize()
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// 64 bytes being filled in.
#[derive(Debug)]
pub(crate) struct Row([u8; ROW]);

impl Default for Row {
    fn default() -> Row {
        Row([0; ROW])
    }
}

impl Row {
    /// The beginning of a file.
    pub(crate) fn head(magic: [u8; 8]) -> Row {
        let mut row = Row::default();
        row.bytes(0, &magic);
        row.u32(8, VERSION);
        row
    }

    pub(crate) fn u64(&mut self, at: usize, number: u64) {
        self.bytes(at, &number.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, at: usize, number: u32) {
        self.bytes(at, &number.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The row with its checksum.
    pub(crate) fn seal(mut self) -> [u8; ROW] {
        let crc = checksum(0, &self.0[..ROW - 4]);
        self.u32(ROW - 4, crc);
        self.0
    }
}

/// The two files of the segment that begins at that offset.
pub(crate) fn names(base: u64) -> (String, String) {
    (format!("{base:020}.stream"), format!("{base:020}.index"))
}

/// The offset in such a name: `Ok` of a segment, `Err` of an index.
pub(crate) fn base_of(name: &str) -> Option<Result<u64, u64>> {
    let (digits, kind) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let base = digits.parse().ok()?;
    match kind {
        "stream" => Some(Ok(base)),
        "index" => Some(Err(base)),
        _ => None,
    }
}
