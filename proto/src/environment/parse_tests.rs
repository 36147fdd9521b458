use super::*;

fn ms(ms: u64) -> Parsed<Duration> {
    Ok(Duration::from_millis(ms))
}

#[test]
fn a_duration_is_a_sum_of_numbers_with_units() {
    assert_eq!(duration("500ms"), ms(500));
    assert_eq!(duration("10s"), ms(10_000));
    assert_eq!(duration("1h30m"), ms(5_400_000));
    assert_eq!(duration("1m1s1ms"), ms(61_001));
    assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
    assert_eq!(duration("0"), ms(0));
}

#[test]
fn a_duration_needs_units() {
    for text in ["", "5", "s", "1.5h", "-1s", "10 s", "1h30", "5x", "99999999999s", "１s"] {
        assert!(duration(text).unwrap_err().remedy.contains("a number with a unit"), "{text}");
    }
}

#[test]
fn a_duration_beyond_a_year_is_refused() {
    assert!(duration("8760h").is_ok());
    for text in ["8761h", "8760h1us", "4294967295h", "4294967295h4294967295h"] {
        assert_eq!(duration(text).unwrap_err().remedy, "write at most 8760h", "{text}");
    }
}

#[test]
fn a_duration_below_the_floor_is_refused() {
    let floor = duration_from(Duration::from_millis(100));
    assert_eq!(floor("100ms"), ms(100));
    assert_eq!(floor("99ms"), Err(refusal("too short", "write at least 100ms")));
}

#[test]
fn bare_milliseconds_are_understood_where_etcd_has_them() {
    assert_eq!(milliseconds("500"), ms(500));
    assert_eq!(milliseconds("500ms"), ms(500));
    assert_eq!(milliseconds("2s"), ms(2000));
    assert!(milliseconds("soon").is_err());
    assert!(milliseconds("").is_err());
}

#[test]
fn sizes_have_binary_and_decimal_units() {
    assert_eq!(bytes("1572864"), Ok(1_572_864));
    assert_eq!(bytes("64MiB"), Ok(64 << 20));
    assert_eq!(bytes("64Mi"), Ok(64 << 20));
    assert_eq!(bytes("2GB"), Ok(2_000_000_000));
    assert_eq!(bytes("3 kb"), Ok(3000));
    assert_eq!(bytes("7B"), Ok(7));
    for text in ["", "MiB", "1.5GiB", "-1", "5 apples", "99999999999999999999"] {
        assert_eq!(bytes(text).unwrap_err().reason, "not a number of bytes", "{text}");
    }
    assert_eq!(bytes("99999999999TiB").unwrap_err().remedy, "write fewer");
}

#[test]
fn sizes_may_have_a_range_or_a_sign() {
    assert_eq!(bytes_in(1..=1024)("1KiB"), Ok(1024));
    assert_eq!(bytes_in(1..=1024)("0").unwrap_err().remedy, "write 1 to 1024 bytes");
    assert_eq!(signed_bytes("-1"), Ok(-1));
    assert_eq!(signed_bytes("8GiB"), Ok(8 << 30));
    assert!(signed_bytes("18446744073709551615").is_err());
    assert!(signed_bytes("--1").is_err());
}

#[test]
fn counts_have_a_range() {
    assert_eq!(count(1..=128_u32)("128"), Ok(128));
    for text in ["0", "129", "many", "-1", "1e3"] {
        let refused = count(1..=128_u32)(text).unwrap_err();
        assert_eq!(refused.remedy, "write a number from 1 to 128", "{text}");
    }
}

#[test]
fn truth_has_few_words() {
    assert_eq!(boolean("true"), Ok(true));
    assert_eq!(boolean("False"), Ok(false));
    assert_eq!(boolean("1"), Ok(true));
    assert_eq!(boolean("0"), Ok(false));
    assert!(boolean("yes").is_err());
}

#[test]
fn an_address_is_an_ip_and_a_port() {
    assert_eq!(address("[::]:2381").unwrap().to_string(), "[::]:2381");
    assert_eq!(address("0.0.0.0:80").unwrap().port(), 80);
    assert!(address("localhost:80").is_err());
    assert!(address(":2381").is_err());
}

#[test]
fn names_stand_in_lists() {
    assert!(name("a,b").is_err() && name("a=b").is_err());
    assert_eq!(name("a b"), Ok("a b".to_owned()));
}

#[test]
fn a_duration_is_shown_as_it_would_be_written() {
    for text in ["0", "500ms", "10s", "1h30m", "1m1s1ms", "250us", "8760h"] {
        assert_eq!(shown(duration(text).unwrap()), text);
    }
    assert_eq!(shown(Duration::from_secs(3600 + 60)), "1h1m");
}

#[test]
fn a_share_is_a_percentage_or_a_size() {
    assert_eq!(share("10%"), Ok(Share::Part(1000)));
    assert_eq!(share("0.05 %"), Ok(Share::Part(5)));
    assert_eq!(share("100%"), Ok(Share::Part(10_000)));
    assert_eq!(share("2GiB"), Ok(Share::Bytes(2 << 30)));
    for text in ["", "%", "1.%", "1.234%", "-1%", "1 apple", "0x1%"] {
        assert!(share(text).unwrap_err().reason.starts_with("neither a percentage"), "{text}");
    }
    assert_eq!(share("100.01%").unwrap_err().remedy, "write at most 100%");
}

#[test]
fn retention_is_written_as_for_etcd() {
    let hours = |hours: u64| Ok(Duration::from_secs(hours * 3600));
    assert_eq!(retained_time("8"), hours(8));
    assert_eq!(retained_time("72h"), hours(72));
    assert_eq!(retained_time("30m"), ms(1_800_000));
    assert_eq!(retained_time("0"), ms(0));
    assert_eq!(retained_revisions("10000"), Ok(10_000));
    assert_eq!(retained_revisions("0"), Ok(0));
}

#[test]
fn a_wrong_retention_begins_as_etcd_says_it() {
    for (refused, why) in [
        (retained_time("soon").unwrap_err(), "neither hours nor a duration"),
        (retained_time("-1").unwrap_err(), "neither hours nor a duration"),
        (retained_revisions("many").unwrap_err(), "not a number of revisions"),
        (retained_revisions("-1").unwrap_err(), "not a number of revisions"),
        (retained_revisions("1h").unwrap_err(), "a time, while METASTORE_AUTO_COMPACTION_MODE"),
    ] {
        let expected = format!("error parsing CompactionRetention: {why}");
        assert!(refused.reason.starts_with(&expected), "{refused:?}");
    }
    assert_eq!(retained_time("9000").unwrap_err().reason, "longer than a year");
}
