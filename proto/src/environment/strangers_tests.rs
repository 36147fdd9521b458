use super::*;

fn is_link(name: &str, text: &str) -> bool {
    matches!(stranger(name, text), Stranger::ServiceLink)
}

/// All that Kubernetes sets for a Service with two ports, of which one has a name.
fn links_of(service: &str) -> Vec<(String, String)> {
    let prefix = service.to_uppercase().replace('-', "_");
    let mut links = vec![
        (format!("{prefix}_SERVICE_HOST"), "10.0.0.1".to_owned()),
        (format!("{prefix}_SERVICE_PORT"), "2379".to_owned()),
        (format!("{prefix}_SERVICE_PORT_CLIENT"), "2379".to_owned()),
        (format!("{prefix}_SERVICE_PORT_PROBE_2"), "2381".to_owned()),
        (format!("{prefix}_PORT"), "tcp://10.0.0.1:2379".to_owned()),
    ];
    for (port, protocol) in [(2379, "TCP"), (2381, "TCP"), (53, "UDP"), (54, "SCTP")] {
        let url = format!("{}://10.0.0.1:{port}", protocol.to_lowercase());
        let name = format!("{prefix}_PORT_{port}_{protocol}");
        links.push((format!("{name}_PROTO"), protocol.to_lowercase()));
        links.push((format!("{name}_PORT"), port.to_string()));
        links.push((format!("{name}_ADDR"), "10.0.0.1".to_owned()));
        links.push((name, url));
    }
    links
}

#[test]
fn service_links_are_nobodys_mistake() {
    for service in ["metastore", "metastore-headless", "metastore-client", "metastore-0", "etcd"] {
        for (name, text) in links_of(service) {
            assert!(is_link(&name, &text), "{name}={text}");
        }
    }
}

#[test]
fn the_longest_names_of_a_service_and_its_ports_are_nobodys_mistake() {
    let service = format!("metastore-{}", "s".repeat(LABEL_MAX - "metastore-".len()));
    for (name, text) in links_of(&service) {
        assert!(is_link(&name, &text), "{name}={text}");
    }
    let service = service.to_uppercase().replace('-', "_");
    let longest = format!("{service}_SERVICE_PORT_{}", "P".repeat(LABEL_MAX));
    assert_eq!(longest.len(), 140);
    assert!(is_link(&longest, "2379"), "{longest}");
}

#[test]
fn a_name_that_nobody_sets_is_cut() {
    let name = format!("METASTORE_SERVICE_PORT_{}", "P".repeat(NAME_MAX));
    let Stranger::Unknown(mistake) = stranger(&name, "") else { panic!("{name}") };
    assert_eq!(mistake.variable.chars().count(), NAME_MAX + 1);
    assert!(mistake.variable.ends_with("P…") && mistake.remedy == "remove it");
}

#[test]
fn the_links_of_other_releases_are_not_even_looked_at() {
    use std::ffi::OsString;

    let others = ["my-metastore", "my-metastore-headless", "postgres"];
    let vars = others.into_iter().flat_map(links_of);
    let vars = vars.map(|(name, text)| (OsString::from(name), OsString::from(text)));
    let review = super::super::review(vars, |_| unreachable!("no file is named"));
    assert!(review.mistakes.is_empty() && review.warnings.is_empty(), "{review:?}");
}

#[test]
fn what_only_resembles_a_service_link_is_unknown() {
    for (name, text) in [
        ("METASTORE_PORT", "2379"),
        ("METASTORE_PORT_X_TCP", "1"),
        ("METASTORE_PORT_2379_TCP_ADDR_X", "1"),
        ("METASTORE_PORT_2379_SSH", "1"),
        ("METASTORE_PORT_2379", "1"),
        ("METASTORE_SERVICE", "1"),
    ] {
        assert!(matches!(stranger(name, text), Stranger::Unknown(_)), "{name}");
    }
}

#[test]
fn an_unknown_variable_has_a_nearest_one_if_it_resembles_any() {
    for (name, remedy) in [
        ("METASTORE_KEEP_REVISION", "the nearest is METASTORE_KEEP_REVISIONS"),
        ("METASTORE_ELECTION_TIMOUT", "the nearest is METASTORE_ELECTION_TIMEOUT"),
        ("METASTORE_Name", "the nearest is METASTORE_NAME"),
        ("METASTORE_CERT_FILE", "remove it"),
        ("METASTORE_", "remove it"),
    ] {
        let Stranger::Unknown(mistake) = stranger(name, "hunter2") else { panic!("{name}") };
        assert_eq!((mistake.variable.as_str(), mistake.remedy.as_str()), (name, remedy));
        assert_eq!(mistake.value, None, "it may be a secret");
        assert!(!mistake.to_string().contains("hunter2"));
    }
}

#[test]
fn a_variable_of_etcd_is_a_warning_that_names_ours() {
    for (name, remedy) in [
        ("ETCD_NAME", "set METASTORE_NAME, which means the same"),
        (
            "ETCD_QUOTA_BACKEND_BYTES",
            "set METASTORE_QUOTA_BACKEND_BYTES, which is similar: 0 is 80 % of the volume, not 2 GiB",
        ),
        ("ETCD_WAL_DIR", "remove it: the log is in the data directory"),
        ("ETCD_CERT_FILE", "remove it: there is no TLS yet"),
    ] {
        let Stranger::Etcd(warning) = stranger(name, "hunter2") else { panic!("{name}") };
        let expected = format!("{name}: variables of etcd are not read; {remedy}");
        assert_eq!(warning.to_string(), expected);
    }
}

#[test]
fn distances_count_letters() {
    let pairs = [("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("same", "same", 0)];
    for (from, to, distance) in pairs {
        assert_eq!(edit_distance(from, to, 9), Some(distance), "{from} {to}");
        assert_eq!(edit_distance(from, to, distance), Some(distance), "{from} {to}");
        assert!(distance == 0 || edit_distance(from, to, distance - 1).is_none(), "{from} {to}");
    }
}
