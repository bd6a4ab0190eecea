//! The checker against real streams, their big-endian and checksummed twins, and streams built record by
//! record from the format's description.

use std::collections::BTreeMap;

use super::*;
use crate::job::name::Guid;

const EMPTY: &[u8] = include_bytes!("../../tests/samples/streams/empty");
const FULL: &[u8] = include_bytes!("../../tests/samples/streams/full");
const INCREMENTAL: &[u8] = include_bytes!("../../tests/samples/streams/incremental");
const CLONE: &[u8] = include_bytes!("../../tests/samples/streams/clone");
const PACKAGE: &[u8] = include_bytes!("../../tests/samples/streams/package");

const ALL: FeatureSet = FeatureSet::OPENZFS.with(FeatureSet::ILLUMOS);

fn check_with(features: FeatureSet, slices: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Verdict {
    let mut checker = Checker::new(Accepts { features });
    for slice in slices {
        checker.feed(slice.as_ref())?;
    }
    checker.finish()
}

fn check(stream: &[u8]) -> Verdict {
    check_with(ALL, [stream])
}

type Verdict = Result<Summary, StreamError>;

fn fault(stream: &[u8]) -> Fault {
    check(stream).expect_err("the stream must be refused").fault
}

// ---- building streams ----------------------------------------------------------------------------------

/// A record as its fields: offset to width in bytes and value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rec {
    fields: BTreeMap<usize, (usize, u64)>,
    toname: Vec<u8>,
    payload: Vec<u8>,
}

/// The fields of each type, (width, offsets), from the format's description.
const LAYOUT: [&[(usize, &[usize])]; 11] = [
    &[(4, &[0, 4, 32, 36]), (8, &[8, 16, 24, 40, 48])],
    &[(4, &[0, 16, 20, 24, 28, 36]), (8, &[8, 40, 56]), (1, &[32, 33, 34, 35, 48, 49, 50])],
    &[(4, &[0]), (8, &[8, 16, 24])],
    &[(4, &[0, 16]), (8, &[8, 24, 32, 40, 56, 64, 72, 80, 88, 96]), (1, &[48, 49, 50])],
    &[(4, &[0]), (8, &[8, 16, 24, 32])],
    &[(4, &[0, 4]), (8, &[8, 16, 24, 32, 40])],
    &[(4, &[0]), (8, &[8, 16, 24, 32, 40, 48, 56]), (1, &[64, 65])],
    &[(4, &[0, 84]), (8, &[8, 16, 24, 40]), (1, &[32, 33])],
    &[(4, &[0, 48, 52]), (8, &[8, 16, 24, 32]), (1, &[40, 41])],
    &[(4, &[0]), (8, &[8, 16, 24]), (1, &[68])],
    &[(4, &[0]), (8, &[8, 16, 24, 32])],
];
const GUID_AT: [usize; 11] = [40, 40, 24, 40, 32, 40, 32, 24, 32, 24, 32];
const GUID: u64 = 0x0123_4567_89ab_cdef;

impl Rec {
    fn new(kind: usize, values: &[(usize, u64)]) -> Self {
        let mut rec = Self { fields: BTreeMap::new(), toname: Vec::new(), payload: Vec::new() };
        for (width, offsets) in LAYOUT[kind] {
            rec.fields.extend(offsets.iter().map(|at| (*at, (*width, 0))));
        }
        rec.set(0, kind as u64).set(GUID_AT[kind], GUID);
        values.iter().fold(rec, |mut rec, (at, value)| {
            rec.set(*at, *value);
            rec
        })
    }

    fn begin(features: FeatureSet) -> Self {
        let bits =
            (0..62).map(|n| 1 << n).filter(|bit| features.contains(FeatureSet::from_versioninfo(bit << 2)));
        let versioninfo = bits.sum::<u64>() << 2 | 1;
        let mut rec = Self::new(0, &[(8, 0x2_f5ba_cbac), (16, versioninfo), (24, 1_179_459_360), (32, 2)]);
        rec.toname = b"data/zones/dbbackup@migrate".to_vec();
        rec
    }

    fn end() -> Self {
        Self::new(5, &[])
    }

    fn with_payload(mut self, len: usize) -> Self {
        self.payload = (0..len).map(|n| (n * 7 + 1) as u8).collect();
        self
    }

    fn get(&self, at: usize) -> u64 {
        self.fields[&at].1
    }

    fn set(&mut self, at: usize, value: u64) -> &mut Self {
        self.fields.get_mut(&at).unwrap_or_else(|| panic!("no field at {at}")).1 = value;
        self
    }

    fn header(&self, order: ByteOrder) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        for (at, (width, value)) in &self.fields {
            put(&mut bytes[*at..*at + *width], *value, order);
        }
        bytes[56..56 + self.toname.len()].copy_from_slice(&self.toname);
        bytes
    }
}

fn put(field: &mut [u8], value: u64, order: ByteOrder) {
    let width = field.len();
    match order {
        ByteOrder::Little => field.copy_from_slice(&value.to_le_bytes()[..width]),
        ByteOrder::Big => field.copy_from_slice(&value.to_be_bytes()[8 - width..]),
    }
}

/// Writes a stream as a sender of this byte order does, all checksums right.
fn write(records: &[Rec], order: ByteOrder, record_checksums: bool) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut sums = Fletcher4::new(order);
    for rec in records {
        let mut header = rec.header(order);
        if rec.get(0) == 5 {
            for (n, sum) in sums.sums().into_iter().enumerate() {
                put(&mut header[8 + 8 * n..16 + 8 * n], sum, order);
            }
        }
        sums.update(&header[..280]);
        if record_checksums && rec.get(0) != 0 {
            for (n, sum) in sums.sums().into_iter().enumerate() {
                put(&mut header[280 + 8 * n..288 + 8 * n], sum, order);
            }
        }
        sums.update(&header[280..]);
        sums.update(&rec.payload);
        stream.extend_from_slice(&header);
        stream.extend_from_slice(&rec.payload);
    }
    stream
}

/// Takes a little-endian stream of zfs-fuse apart, by its own reading of the format.
fn read(stream: &[u8]) -> Vec<Rec> {
    let mut records = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let mut rec = Rec::new(rest[0].into(), &[]);
        for (at, (width, value)) in &mut rec.fields {
            *value =
                rest[*at..*at + *width].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
        }
        let payload = match rec.get(0) {
            0 => {
                rec.toname = rest[56..HEADER_LEN].to_vec();
                0
            }
            1 => rec.get(28).next_multiple_of(8) as usize,
            3 => rec.get(32) as usize,
            _ => 0,
        };
        rec.payload = rest[HEADER_LEN..HEADER_LEN + payload].to_vec();
        rest = &rest[HEADER_LEN + payload..];
        records.push(rec);
    }
    records
}

/// A stream with every record type, and the features that it needs.
fn every_record_type() -> (FeatureSet, Vec<Rec>) {
    let features = ALL.without(FeatureSet::LARGE_BLOCKS);
    let records = vec![
        with(Rec::begin(features), 4, 20).with_payload(20),
        Rec::new(9, &[(16, 32)]),
        Rec::new(2, &[(16, 1)]),
        Rec::new(1, &[(24, 131_072), (28, 168)]).with_payload(168),
        Rec::new(1, &[(24, 512), (28, 44)]).with_payload(48),
        Rec::new(1, &[(24, 512), (28, 168), (36, 320)]).with_payload(320),
        Rec::new(4, &[(24, u64::MAX)]),
        Rec::new(3, &[(32, 131_072)]).with_payload(131_072),
        Rec::new(3, &[(32, 4096), (50, 15), (96, 512)]).with_payload(512),
        Rec::new(6, &[(24, 4096)]),
        Rec::new(7, &[(16, 512)]).with_payload(512),
        Rec::new(7, &[(16, 1024), (40, 512)]).with_payload(512),
        Rec::new(8, &[(24, 512), (48, 500), (52, 109)]).with_payload(112),
        Rec::new(10, &[(24, 4096)]),
        Rec::end(),
    ];
    (features, records)
}

fn with(mut rec: Rec, at: usize, value: u64) -> Rec {
    rec.set(at, value);
    rec
}

// ---- what is read --------------------------------------------------------------------------------------

#[test]
fn a_full_stream_says_what_it_is_of() {
    let summary = check_with(FeatureSet::NONE, [FULL]).unwrap();
    let expected = Begin {
        order: ByteOrder::Little,
        features: FeatureSet::NONE,
        creation_time: 0x6b04_3d26,
        object_set: ObjectSet::Filesystem,
        flags: 0,
        toguid: Guid(8_273_486_526_154_803_866),
        fromguid: None,
        toname: "data/zones/db backup@before".to_owned(),
    };
    assert_eq!(summary, Summary { begin: expected, bytes: FULL.len() as u64, records: 51 });
}

#[test]
fn an_incremental_stream_and_a_clone_name_their_base() {
    let base = Some(Guid(8_273_486_526_154_803_866));
    let increment = check(INCREMENTAL).unwrap();
    assert_eq!((increment.begin.fromguid, increment.begin.flags), (base, 0));
    assert_eq!((increment.begin.toguid, increment.records), (Guid(736_978_982_814_815_487), 42));
    let clone = check(CLONE).unwrap();
    assert_eq!((clone.begin.fromguid, clone.begin.flags, clone.records), (base, 1, 2));
    let empty = check(EMPTY).unwrap();
    assert_eq!((empty.begin.fromguid, empty.bytes, empty.records), (None, 8504, 19));
}

#[test]
fn what_the_stream_is_of_is_known_with_its_312th_byte() {
    let mut checker = Checker::new(Accepts { features: ALL });
    checker.feed(&FULL[..311]).unwrap();
    assert_eq!(checker.begin(), None);
    checker.feed(&FULL[311..312]).unwrap();
    assert_eq!(checker.begin().map(|begin| begin.toname.as_str()), Some("data/zones/db backup@before"));
}

#[test]
fn the_builder_of_these_tests_writes_what_zfs_writes() {
    for stream in [EMPTY, FULL, INCREMENTAL, CLONE] {
        assert!(write(&read(stream), ByteOrder::Little, false) == stream);
    }
}

#[test]
fn twins_of_either_byte_order_with_and_without_record_checksums_read_the_same() {
    for stream in [EMPTY, FULL, INCREMENTAL, CLONE] {
        let records = read(stream);
        let wanted = check(stream).unwrap();
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for sums in [false, true] {
                let mut found = check(&write(&records, order, sums)).unwrap();
                assert_eq!(found.begin.order, order);
                found.begin.order = ByteOrder::Little;
                assert_eq!(found, wanted);
            }
        }
    }
}

#[test]
fn every_record_type_is_read_when_its_feature_is_declared() {
    let (features, records) = every_record_type();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for sums in [false, true] {
            let stream = write(&records, order, sums);
            assert_eq!(check_with(features, [&stream]).map(|found| found.records), Ok(records.len() as u64));
        }
    }
}

#[test]
fn slices_of_any_length_give_the_same_result() {
    let (_, records) = every_record_type();
    let built = write(&records, ByteOrder::Big, true);
    for stream in [EMPTY, INCREMENTAL, &built] {
        let wanted = check(stream);
        assert!(wanted.is_ok());
        for len in (1..700).chain([4096, 65_536]) {
            assert_eq!(check_with(ALL, stream.chunks(len)), wanted, "slices of {len}");
        }
    }
    for at in 0..=EMPTY.len() {
        let (head, tail) = EMPTY.split_at(at);
        assert_eq!(check_with(ALL, [head, &[], tail]), check(EMPTY), "cut at {at}");
    }
}

#[test]
fn records_of_old_senders_without_a_guid_are_taken() {
    let mut records = read(FULL);
    for rec in &mut records[1..] {
        rec.set(GUID_AT[rec.get(0) as usize], 0);
    }
    assert!(check(&write(&records, ByteOrder::Big, false)).is_ok());
}

// ---- damage --------------------------------------------------------------------------------------------

/// A fixed sequence of pseudo-random numbers (SplitMix64).
fn numbers(mut seed: u64) -> impl Iterator<Item = u64> {
    std::iter::repeat_with(move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

fn assert_flip_is_seen(stream: &mut [u8], at: usize, mask: u8) {
    stream[at] ^= mask;
    assert!(check(stream).is_err(), "byte {at} of {} changed by {mask:#04x}", stream.len());
    stream[at] ^= mask;
}

#[test]
fn no_flipped_bit_in_the_first_and_last_records_goes_unseen() {
    let last_two = |stream: &[u8]| {
        let records = read(stream);
        let len = |rec: &Rec| HEADER_LEN + rec.payload.len();
        stream.len() - records.iter().rev().take(2).map(len).sum::<usize>()
    };
    for original in [EMPTY, INCREMENTAL] {
        let tail = last_two(original)..original.len();
        for sums in [false, true] {
            let mut stream = write(&read(original), ByteOrder::Little, sums);
            for at in (0..3 * HEADER_LEN).chain(tail.clone()) {
                (0..8).for_each(|bit| assert_flip_is_seen(&mut stream, at, 1 << bit));
            }
        }
    }
}

#[test]
fn no_changed_byte_of_a_small_stream_goes_unseen() {
    let (_, records) = every_record_type();
    let small: Vec<Rec> = records.into_iter().filter(|rec| rec.payload.len() < 1024).collect();
    let mut masks = numbers(3);
    for (order, sums) in [(ByteOrder::Little, false), (ByteOrder::Big, false), (ByteOrder::Big, true)] {
        let mut stream = write(&small, order, sums);
        assert!(check(&stream).is_ok());
        for at in 0..stream.len() {
            let mask = masks.next().unwrap_or(1) as u8 | 1;
            assert_flip_is_seen(&mut stream, at, mask);
        }
    }
}

#[test]
fn no_bit_flipped_at_random_goes_unseen() {
    let mut numbers = numbers(0x2007_0518);
    let mut next = |below: usize| (numbers.next().unwrap_or(0) % below as u64) as usize;
    for original in [FULL, INCREMENTAL] {
        let mut stream = original.to_vec();
        for _ in 0..3000 {
            let at = next(stream.len());
            assert_flip_is_seen(&mut stream, at, 1 << next(8));
        }
    }
}

#[test]
fn two_words_changed_places_are_seen() {
    let mut stream = FULL.to_vec();
    let word =
        stream.windows(8).skip(HEADER_LEN * 6).position(|two| two[..4] != two[4..]).unwrap() + HEADER_LEN * 6;
    let word = word / 4 * 4;
    let (left, right) = stream[word..word + 8].split_at_mut(4);
    left.swap_with_slice(right);
    assert!(stream != FULL && check(&stream).is_err());
}

#[test]
fn every_truncation_is_seen_and_said_to_be_one() {
    for stream in [EMPTY, CLONE, INCREMENTAL] {
        for len in 0..stream.len() {
            let error = check(&stream[..len]).expect_err("the stream is cut off");
            assert_eq!((error.kind(), error.offset), (StreamErrorKind::Truncated, len as u64));
        }
    }
}

#[test]
fn damage_is_placed_in_its_record_when_records_have_checksums() {
    let records = read(EMPTY);
    let mut stream = write(&records, ByteOrder::Big, true);
    let third = 2 * HEADER_LEN + records[0].payload.len() + records[1].payload.len();
    stream[third + 9] ^= 1;
    let error = check(&stream).expect_err("damaged");
    assert_eq!(error, StreamError { offset: third as u64, record: 2, fault: Fault::RecordChecksum });
}

#[test]
fn after_an_error_nothing_more_is_taken() {
    let mut checker = Checker::new(Accepts { features: ALL });
    let mut damaged = EMPTY.to_vec();
    damaged[312] = 77;
    let error = checker.feed(&damaged[..1000]).expect_err("unknown record");
    assert_eq!(checker.feed(EMPTY), Err(error.clone()));
    assert_eq!(checker.feed(&[]), Err(error.clone()));
    assert_eq!(checker.finish(), Err(error));
}

#[test]
fn bytes_behind_the_end_are_refused_even_if_they_are_a_stream() {
    for more in [&[0][..], EMPTY] {
        let error = check_with(ALL, [EMPTY, more]).expect_err("more");
        let at = EMPTY.len() as u64;
        assert_eq!(error, StreamError { offset: at, record: 19, fault: Fault::Trailing });
    }
}

#[test]
fn what_no_checksum_covers_in_end_must_be_zero() {
    let end = CLONE.len() - HEADER_LEN;
    for at in (4..8).chain(48..280) {
        let mut stream = CLONE.to_vec();
        stream[end + at] = 1;
        assert_eq!(fault(&stream), Fault::EndPadding, "byte {at}");
    }
    let mut stream = CLONE.to_vec();
    stream[end + 8] ^= 1;
    assert_eq!(fault(&stream), Fault::StreamChecksum);
    let mut stream = CLONE.to_vec();
    stream[end + 280] = 1;
    assert_eq!(fault(&stream), Fault::RecordChecksum);
}

// ---- what is refused ------------------------------------------------------------------------------------

/// The fault of a stream with this record behind BEGIN. Only the header is fed, so that a refusal
/// can't come too late, and no byte of the payload can be forwarded.
fn fault_of(features: FeatureSet, rec: &Rec) -> Option<Fault> {
    let begin = with(Rec::begin(features), 4, 0);
    let stream = write(&[begin, Rec { payload: Vec::new(), ..rec.clone() }], ByteOrder::Big, false);
    let mut checker = Checker::new(Accepts { features: ALL });
    checker.feed(&stream[..stream.len() - 1]).unwrap();
    checker.feed(&stream[stream.len() - 1..]).err().map(|error| error.fault)
}

#[test]
fn lengths_out_of_bounds_are_refused_with_the_last_byte_of_their_header() {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    let rest = ALL.without(FeatureSet::LARGE_BLOCKS);
    let large = ALL;
    /// Features, type, the fields set, the most that is legal in the last of them.
    type Case<'a> = (FeatureSet, usize, &'a [(usize, u64)], u64);
    let cases: [Case<'_>; 12] = [
        (rest, 3, &[(32, 0)], 128 * KIB),
        (large, 3, &[(32, 0)], 16 * MIB),
        (rest, 3, &[(32, 4096), (50, 3), (96, 0)], 4096),
        (large, 3, &[(32, 16 * MIB), (50, 3), (96, 0)], 16 * MIB),
        (rest, 7, &[(16, 0)], 128 * KIB),
        (rest, 7, &[(16, 512), (40, 0)], 512),
        (rest, 1, &[(28, 0)], 16 * KIB),
        (rest, 1, &[(36, 0)], 16 * KIB),
        (rest, 1, &[(24, 0)], 128 * KIB),
        (rest, 8, &[(24, 512), (48, 500), (52, 0)], 112),
        (rest, 8, &[(24, 512), (48, 0)], 512),
        (rest, 8, &[(24, 0)], 128 * KIB),
    ];
    for (features, kind, fields, max) in cases {
        let (at, _) = fields[fields.len() - 1];
        let rec = Rec::new(kind, fields);
        let (width, _) = rec.fields[&at];
        assert_eq!(fault_of(features, &with(rec.clone(), at, max)), None, "{kind} {at}");
        for bad in [max + 4, 4 * MIB + 16 * MIB, 1 << 31, 1 << 40, u64::MAX] {
            if width == 4 && bad > u64::from(u32::MAX) {
                continue;
            }
            let found = fault_of(features, &with(rec.clone(), at, bad));
            assert!(
                matches!(found, Some(Fault::Length { value, max: most, .. }) if value == bad && most == max),
                "{kind} {at} {bad}: {found:?}"
            );
        }
    }
    assert!(matches!(fault_of(rest, &Rec::new(3, &[(32, 4 * MIB)])), Some(Fault::Length { .. })));
    for none in
        [Rec::new(3, &[(32, 0)]), Rec::new(7, &[(16, 0)]), Rec::new(3, &[(32, 512), (50, 3), (96, 0)])]
    {
        assert!(matches!(fault_of(large, &none), Some(Fault::Length { value: 0, .. })), "{none:?}");
    }
}

#[test]
fn payloads_that_are_no_whole_words_are_refused() {
    assert_eq!(fault_of(ALL, &Rec::new(3, &[(32, 514)])), Some(Fault::Unaligned(RecordKind::Write, 514)));
    assert_eq!(fault_of(ALL, &Rec::new(1, &[(36, 5)])), Some(Fault::Unaligned(RecordKind::Object, 5)));
}

#[test]
fn records_and_fields_that_older_receivers_read_otherwise_need_their_feature() {
    let none = FeatureSet::NONE;
    let cases = [
        (Rec::new(6, &[]), RecordKind::WriteByref, FeatureSet::DEDUP),
        (Rec::new(7, &[(16, 512)]), RecordKind::Spill, FeatureSet::SA_SPILL),
        (Rec::new(8, &[]), RecordKind::WriteEmbedded, FeatureSet::EMBED_DATA),
        (Rec::new(9, &[]), RecordKind::ObjectRange, FeatureSet::RAW),
        (Rec::new(10, &[]), RecordKind::Redact, FeatureSet::REDACTED),
        (Rec::new(1, &[(36, 8)]), RecordKind::Object, FeatureSet::RAW),
        (Rec::new(3, &[(32, 512), (50, 3), (96, 512)]), RecordKind::Write, FeatureSet::COMPRESSED),
    ];
    for (rec, kind, feature) in cases {
        assert_eq!(fault_of(none, &rec), Some(Fault::Undeclared(kind, feature)));
        assert_eq!(fault_of(ALL, &rec), None);
    }
    let spill = Rec::new(7, &[(16, 512), (40, 512)]);
    let undeclared = Fault::Undeclared(RecordKind::Spill, FeatureSet::RAW);
    assert_eq!(fault_of(FeatureSet::SA_SPILL, &spill), Some(undeclared));
}

#[test]
fn a_payload_of_begin_is_taken_only_where_every_receiver_skips_it() {
    let stream = |features, len: usize| {
        let begin = with(Rec::begin(features), 4, len as u64).with_payload(len);
        write(&[begin, Rec::end()], ByteOrder::Little, true)
    };
    assert!(check(&stream(FeatureSet::RAW, 1 << 20)).is_ok());
    assert_eq!(fault(&stream(FeatureSet::SA_SPILL, 8)), Fault::BeginPayload);
    assert_eq!(fault(&stream(FeatureSet::RAW, 6)), Fault::Unaligned(RecordKind::Begin, 6));
    assert!(matches!(fault(&stream(FeatureSet::RAW, (1 << 20) + 4)), Fault::Length { .. }));
}

#[test]
fn packages_are_refused_by_name() {
    let error = check(PACKAGE).expect_err("a package");
    assert_eq!((error.kind(), error.fault), (StreamErrorKind::Unsupported, Fault::Package));
}

#[test]
fn features_that_the_target_lacks_are_named_and_unknown_ones_are_no_damage() {
    let stream = |features| write(&[Rec::begin(features), Rec::end()], ByteOrder::Big, true);
    let modern = FeatureSet::SA_SPILL.with(FeatureSet::LARGE_BLOCKS);
    assert!(check_with(FeatureSet::ILLUMOS, [stream(modern)]).is_ok());
    let error = check_with(FeatureSet::ON_2009, [stream(modern)]).expect_err("too new");
    assert_eq!((error.kind(), error.fault), (StreamErrorKind::Unsupported, Fault::Features(modern)));

    for bit in (3..16).chain([18]).chain(30..62) {
        let closed = FeatureSet::from_versioninfo(1 << (bit + 2));
        // Even a target that is said to know them does not help: zmigrate can't read them.
        let error = check_with(ALL.with(closed), [stream(modern.with(closed))]).expect_err("unknown");
        assert_eq!(error.kind(), StreamErrorKind::CannotVerify, "bit {bit}");
        assert_eq!(error.fault, Fault::UnknownFeatures(closed));
    }
}

#[test]
fn what_is_unknown_is_cannot_verify_and_what_is_wrong_is_damaged() {
    let begin = Rec::begin(FeatureSet::NONE);
    let only = |begin: &Rec| fault(&write(&[begin.clone(), Rec::end()], ByteOrder::Little, true));
    assert_eq!(fault(b"PK\x03\x04".repeat(100).as_slice()), Fault::NoMagic);
    assert_eq!(only(&with(begin.clone(), 0, 3)), Fault::NoMagic);
    assert_eq!(only(&with(begin.clone(), 16, 3)), Fault::HeaderType(3));
    assert_eq!(only(&with(begin.clone(), 16, 0)), Fault::HeaderType(0));
    assert_eq!(only(&with(begin.clone(), 32, 1)), Fault::ObjectSet(1));
    assert_eq!(only(&with(begin.clone(), 40, 0)), Fault::NoGuid);
    assert_eq!(fault_of(ALL, &with(Rec::new(4, &[]), 0, 11)), Some(Fault::UnknownRecord(11)));
    assert_eq!(fault_of(ALL, &Rec::begin(ALL)), Some(Fault::NestedBegin));
    let found = Guid(GUID + 1);
    for (kind, guid_at) in GUID_AT.into_iter().enumerate().skip(1) {
        let rec = with(Rec::new(kind, &[]), guid_at, found.0);
        let rec = if kind == 3 { with(rec, 32, 512) } else { rec };
        let rec = if kind == 7 { with(rec, 16, 512) } else { rec };
        let fault = fault_of(ALL, &rec);
        assert!(matches!(fault, Some(Fault::Guid { found: it, .. }) if it == found), "{kind}: {fault:?}");
    }
    assert_eq!(Fault::UnknownRecord(11).kind(), StreamErrorKind::CannotVerify);
    assert_eq!(Fault::ObjectSet(1).kind(), StreamErrorKind::CannotVerify);
    assert_eq!(Fault::NoMagic.kind(), StreamErrorKind::Damaged);
}

#[test]
fn a_name_must_be_a_snapshots_and_is_escaped_where_it_is_not() {
    for bad in [&b""[..], b"data/zones", b"@x", b"a@", b"a@b@c", b"a\x1b[2J@b", b"a\xff@b", &[b'@'; 256]] {
        let mut begin = Rec::begin(FeatureSet::NONE);
        begin.toname = bad.to_vec();
        let stream = write(&[begin, Rec::end()], ByteOrder::Little, true);
        let Fault::Name(text) = fault(&stream) else { panic!("{bad:?} is no name") };
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

#[test]
fn an_error_says_where_it_is_what_it_is_and_what_to_do() {
    let text = |stream: &[u8]| check_with(FeatureSet::ON_2009, [stream]).expect_err("refused").to_string();
    let mut damaged = EMPTY.to_vec();
    damaged[1000] ^= 1;
    assert_eq!(
        text(&damaged),
        "ZFS stream is damaged at byte 8192, record 18: the stream's checksum differs; the image must be sent again"
    );
    assert_eq!(
        text(&EMPTY[..700]),
        "ZFS stream is cut off after 700 bytes, in or before record 2: there is no END record; the image must be \
         sent again"
    );
    assert_eq!(
        text(&write(&[Rec::begin(FeatureSet::SA_SPILL)], ByteOrder::Little, false)),
        "ZFS stream is not supported, byte 0, record 0: it needs features that the target's ZFS does not have \
         (SA_SPILL); send it without them or update the target"
    );
    assert_eq!(
        text(&write(&[with(Rec::begin(FeatureSet::NONE), 16, 1 << 7 | 1)], ByteOrder::Little, false)),
        "cannot verify ZFS stream at byte 0, record 0: it has features of unknown meaning (bit 5); that does not \
         mean that it is damaged, but zmigrate does not pass on what it cannot read: move this dataset by hand"
    );
    assert_eq!(
        text(&write(
            &[Rec::begin(FeatureSet::NONE), Rec::new(3, &[(32, 1 << 40)])],
            ByteOrder::Little,
            false
        )),
        "ZFS stream is damaged at byte 312, record 1: WRITE record has a block of 1099511627776 bytes, allowed are \
         512 to 131072; the image must be sent again"
    );
}
