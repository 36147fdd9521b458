//! A core that cannot start says why, and with which code.

use metastore_tests::member::Core;

async fn refused(mut core: Core) -> (Option<i32>, String) {
    let ended = core.process().ended().await;
    (ended.code(), core.output())
}

#[tokio::test]
async fn a_second_core_on_a_port_is_turned_away() {
    let core = Core::start().await;
    let (code, output) = refused(Core::launch_at(core.port(), &[])).await;
    assert_eq!(code, Some(69), "{output}");
    assert!(output.contains(&core.port().to_string()), "{output}");
    core.client().set("a", "the first is unharmed").await;
}

#[tokio::test]
async fn a_second_core_on_a_directory_is_turned_away() {
    let core = Core::start().await;
    let (code, output) = refused(Core::launch_on(core.data(), &[])).await;
    assert_eq!(code, Some(69), "{output}");
    assert!(output.contains(&core.data().display().to_string()), "{output}");
    core.client().set("a", "the first is unharmed").await;
}

#[tokio::test]
async fn every_mistake_in_the_environment_is_told_at_once() {
    let variables = [
        ("METASTORE_ELECTION_TIMEOUT", "soon"),
        ("METASTORE_MAX_TXN_OPS", "many"),
        ("METASTORE_LISTEN_CLIENT_URLS", "http://nowhere.example:1"),
        ("METASTORE_NO_SUCH_THING", "1"),
        ("METASTORE_BLOCK_CACHE_BYTES", "64 parrots"),
    ];
    let (code, output) = refused(Core::launch(&variables)).await;
    assert_eq!(code, Some(64), "{output}");
    for (name, _) in variables {
        assert!(output.contains(name), "{name} is not told: {output}");
    }
}

#[tokio::test]
async fn a_socket_path_that_is_too_long_is_a_mistake() {
    let long = format!("/tmp/{}/admin.sock", "x".repeat(120));
    let (code, output) = refused(Core::launch(&[("METASTORE_ADMIN_SOCKET", &long)])).await;
    assert_eq!(code, Some(64), "{output}");
    assert!(output.contains("METASTORE_ADMIN_SOCKET"), "{output}");
}
