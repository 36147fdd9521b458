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
        assert!(duration(text).unwrap_err().contains("needs a number with a unit"), "{text}");
    }
}

#[test]
fn a_duration_beyond_a_year_is_refused() {
    assert!(duration("8760h").is_ok());
    for text in ["8761h", "8760h1us", "4294967295h", "4294967295h4294967295h"] {
        assert_eq!(duration(text), Err("needs at most a year, 8760h".to_owned()), "{text}");
    }
}

#[test]
fn a_duration_below_the_floor_is_refused() {
    let floor = duration_from(Duration::from_millis(100));
    assert_eq!(floor("100ms"), ms(100));
    assert_eq!(floor("99ms"), Err("needs at least 100ms".to_owned()));
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
        assert!(bytes(text).unwrap_err().contains("needs a number of bytes"), "{text}");
    }
    assert_eq!(bytes("99999999999TiB"), Err("needs fewer bytes".to_owned()));
}

#[test]
fn sizes_may_have_a_range_or_a_sign() {
    assert_eq!(bytes_in(1..=1024)("1KiB"), Ok(1024));
    assert_eq!(bytes_in(1..=1024)("0"), Err("needs 1 to 1024 bytes".to_owned()));
    assert_eq!(signed_bytes("-1"), Ok(-1));
    assert_eq!(signed_bytes("8GiB"), Ok(8 << 30));
    assert!(signed_bytes("18446744073709551615").is_err());
    assert!(signed_bytes("--1").is_err());
}

#[test]
fn counts_have_a_range() {
    assert_eq!(count(1..=128_u32)("128"), Ok(128));
    for text in ["0", "129", "many", "-1", "1e3"] {
        let needs = "needs a whole number from 1 to 128".to_owned();
        assert_eq!(count(1..=128_u32)(text), Err(needs), "{text}");
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
fn advertised_urls_are_normalised_sorted_and_unique() {
    let urls = advertised_urls(" HTTP://b.example:2379/ ,http://a:1,,http://b.example:2379");
    assert_eq!(urls.unwrap(), ["http://a:1", "http://b.example:2379"]);
    assert_eq!(advertised_urls("http://[::1]:2379").unwrap(), ["http://[::1]:2379"]);
}

#[test]
fn a_url_that_is_not_a_host_and_a_port_is_refused() {
    let bad = [
        "localhost:2379",
        "http://localhost",
        "http://:2379",
        "http://a:70000",
        "http://a:+1",
        "http://a:1/path",
        "http://user@a:1",
        "http://::1:2379",
        "http://[a]:1",
        "http://[::1",
        "http://a b:1",
        "unix:///tmp/socket:1",
    ];
    for text in bad {
        assert!(advertised_urls(text).unwrap_err().contains("needs http://host:port"), "{text}");
    }
    assert!(advertised_urls(" , ").unwrap_err().contains("at least one"));
}

#[test]
fn tls_is_refused_by_name() {
    let refused = advertised_urls("http://a:1,https://a:2").unwrap_err();
    assert!(refused.starts_with("TLS is not supported yet"));
}

#[test]
fn listening_is_on_addresses_or_localhost() {
    let urls = listen_urls("http://localhost:2379,http://[::]:1,http://10.0.0.1:0/").unwrap();
    let addresses: Vec<_> = urls.iter().flat_map(ListenUrl::addresses).collect();
    let printed: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    assert_eq!(printed, ["127.0.0.1:2379", "[::1]:2379", "[::]:1", "10.0.0.1:0"]);
    assert_eq!(listen_urls("http://localhost:1,http://localhost:1/").unwrap().len(), 1);
    assert!(
        listen_urls("http://example.com:2379").unwrap_err().contains("IP address or localhost")
    );
}

#[test]
fn members_are_names_with_urls() {
    let parsed = members("a=http://h:1, a=http://h:2,b=http://h:3").unwrap();
    assert_eq!(parsed.len(), 3);
    assert_eq!(parsed[1], ("a".to_owned(), "http://h:2".to_owned()));
    assert!(members("http://h:1").is_err());
    assert!(name("a,b").is_err() && name("a=b").is_err());
}
