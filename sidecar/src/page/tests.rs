use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use metastore_proto::environment::harmless_json;
use tower::ServiceExt;

use super::*;
use crate::probes;
use crate::report::samples::{Known as Sample, hostile};

fn html(sample: &Sample) -> String {
    html::render(&sample.report())
}

#[test]
fn what_is_asked_for_is_answered() {
    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (asked, accepted, expected) in [
        (None, BROWSER, Some(Form::Html)),
        (None, "*/*", Some(Form::Text)),
        (None, "", Some(Form::Text)),
        (None, "application/json", Some(Form::Json)),
        (Some("text"), BROWSER, Some(Form::Text)),
        (Some("html"), "*/*", Some(Form::Html)),
        (Some("json"), BROWSER, Some(Form::Json)),
        (Some("xml"), BROWSER, None),
    ] {
        assert_eq!(Form::of(asked, accepted), expected, "{asked:?} {accepted}");
    }
}

/// Element names in the order of their begin and end tags. Attributes hold no `>`, for that is
/// escaped; style and script are left out.
fn is_balanced(document: &str) -> Result<(), String> {
    let document = document.replace(html::STYLE, "").replace(html::SCRIPT, "");
    let mut open = Vec::new();
    for tag in document.split('<').skip(1).map(|tag| tag.split('>').next().unwrap_or_default()) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        match name {
            "!doctype" | "meta" | "link" => {}
            _ if tag.starts_with('/') => {
                let last = open.pop().unwrap_or_default();
                if last != name {
                    return Err(format!("</{name}> ends <{last}>"));
                }
            }
            _ if tag.ends_with('/') => {}
            _ => open.push(name.to_owned()),
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("left open: {open:?}")) }
}

#[test]
fn every_element_that_begins_ends() {
    for sample in [Sample::nothing(), Sample::well(), Sample::well().silent(70), hostile()] {
        assert_eq!(is_balanced(&html(&sample)), Ok(()));
    }
}

#[test]
fn nothing_that_others_say_becomes_markup() {
    let page = html(&hostile());
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.contains("<script>alert"));
    for letter in ['\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}'] {
        assert!(!page.contains(letter), "{letter:?}");
    }
    assert_eq!(page.matches("<script").count(), 1);
}

#[test]
fn a_core_that_never_answered_has_a_page() {
    let page = html(&Sample::nothing());
    assert!(page.contains("Waiting for core") && page.contains("core has not answered yet"));
    assert!(page.contains("unknown member") && !page.contains("id=\"member\""));
}

#[test]
fn a_silent_core_is_shown_as_old() {
    let page = html(&Sample::well().silent(5));
    assert!(page.contains("Core is silent"), "{page}");
    assert!(page.contains("What follows about core is 5 s old."));
    assert!(page.contains("8e9e05c52164694d"), "what it said keeps standing");
}

#[test]
fn what_is_wrong_has_a_word_and_a_shape() {
    let page = html(&hostile());
    assert!(page.contains("<use href=\"#bad\"/></svg>NOSPACE</b>"), "{page}");
    assert!(page.contains("the disk has too little room (member 7)"));
}

#[test]
fn the_document_asks_for_nothing_outside() {
    let page = html(&Sample::well());
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        let found = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(outside), "{outside}");
    }
    assert!(!page.contains("style=\""), "the policy forbids styles on elements");
    assert!(POLICY.starts_with("default-src 'none'; style-src 'sha256-"), "{}", *POLICY);
}

/// Status, headers and body that the router of all endpoints answers.
async fn ask(method: &str, path: &str, accept: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::builder().method(method).uri(path).header(ACCEPT, accept);
    let router = probes::router(Sample::well().served());
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_browser_gets_a_document_with_a_policy_that_fits() {
    let (status, headers, body) = ask("GET", "/", "text/html").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(headers["cache-control"], "no-store");
    let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    for (begin, end) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let inside = body.split_once(begin).unwrap().1.split_once(end).unwrap().0;
        let hash = BASE64_STANDARD.encode(Sha256::digest(inside));
        assert!(policy.contains(&format!("'sha256-{hash}'")), "{begin}: {policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn others_get_text_or_json() {
    let (_, headers, body) = ask("GET", "/", "*/*").await;
    assert_eq!(headers[CONTENT_TYPE], "text/plain; charset=utf-8");
    assert!(body.starts_with("alpha  HEALTHY"), "{body}");
    let (_, headers, body) = ask("GET", "/report.json", "*/*").await;
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    assert_eq!(serde_json::from_str::<Report>(&body).unwrap().history.unwrap().revision, 5000);
}

#[tokio::test(start_paused = true)]
async fn a_report_as_json_has_the_true_values_and_steers_no_terminal() {
    let name = hostile().report().member.unwrap().name;
    let request = Request::builder().uri("/report.json").body(Body::empty()).unwrap();
    let response = probes::router(hostile().served()).oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = std::str::from_utf8(&body).unwrap();
    assert_eq!(harmless_json(body), body);
    assert!(body.contains("\\u001b[31m\\n\\u007f\\u009b2J\\u202e"), "{body}");
    assert_eq!(serde_json::from_str::<Report>(body).unwrap().member.unwrap().name, name);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_shares_what_is_rendered_once_a_second() {
    let router = probes::router(Sample::well().served());
    let ask = async |path: &str| {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes()
    };
    for paths in [["/?format=html", "/?format=html"], ["/?format=json", "/report.json"]] {
        let first = ask(paths[0]).await;
        assert_eq!(ask(paths[1]).await.as_ptr(), first.as_ptr(), "{paths:?}");
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_ne!(ask(paths[1]).await.as_ptr(), first.as_ptr(), "{paths:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_requests() {
    for (method, path, expected) in [
        ("HEAD", "/", 200),
        ("POST", "/", 405),
        ("GET", "/?format=xml", 400),
        ("GET", "/favicon.ico", 204),
        ("GET", "/page.css", 404),
    ] {
        assert_eq!(ask(method, path, "*/*").await.0.as_u16(), expected, "{method} {path}");
    }
}
