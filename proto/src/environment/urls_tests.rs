use super::*;

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
        "http://::1:2379",
        "http://[a]:1",
        "http://[::1",
        "http://a b:1",
        "unix:///tmp/socket:1",
    ];
    for text in bad {
        assert!(
            advertised_urls(text).unwrap_err().reason.contains("not the URL of a host"),
            "{text}"
        );
    }
    assert!(advertised_urls(" , ").unwrap_err().remedy.contains("at least one"));
}

#[test]
fn tls_is_refused_by_name() {
    let refused = advertised_urls("http://a:1,https://a:2").unwrap_err();
    assert!(refused.reason.starts_with("TLS is not supported yet"));
}

#[test]
fn listening_is_on_addresses_or_localhost() {
    let urls = listen_urls("http://localhost:2379,http://[::]:1,http://10.0.0.1:0/").unwrap();
    let addresses: Vec<_> = urls.iter().flat_map(ListenUrl::addresses).collect();
    let printed: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    assert_eq!(printed, ["127.0.0.1:2379", "[::1]:2379", "[::]:1", "10.0.0.1:0"]);
    assert_eq!(listen_urls("http://localhost:1,http://localhost:1/").unwrap().len(), 1);
    assert!(
        listen_urls("http://example.com:2379")
            .unwrap_err()
            .remedy
            .contains("IP address or localhost")
    );
}

#[test]
fn members_are_names_with_urls() {
    let parsed = members("a=http://h:1, a=http://h:2,b=http://h:3").unwrap();
    assert_eq!(parsed.len(), 3);
    assert_eq!(parsed[1], ("a".to_owned(), "http://h:2".to_owned()));
    assert!(members("http://h:1").is_err());
}

#[test]
fn users_and_passwords_are_refused_by_name() {
    for text in ["http://user:secret@0.0.0.0:1", "http://user@a:1", "https://u:p@a:1", "u:p@a:1"] {
        let refused = advertised_urls(text).unwrap_err();
        assert!(refused.reason.starts_with("a URL with a user"), "{text}: {refused:?}");
        assert_eq!(listen_urls(text).unwrap_err(), refused);
        assert_eq!(members(&format!("a={text}")).unwrap_err(), refused);
    }
}
