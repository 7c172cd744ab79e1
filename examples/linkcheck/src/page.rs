//! The links of a page.

use html5gum::{Token, Tokenizer};
use http::Uri;

/// The targets of the links in a page, as they stand there.
pub fn links(html: &str) -> Vec<String> {
    let mut links = Vec::new();
    for token in Tokenizer::new(html).flatten() {
        let Token::StartTag(tag) = token else { continue };
        let attribute: &[u8] = match &tag.name[..] {
            b"a" | b"link" => b"href",
            b"img" | b"script" => b"src",
            _ => continue,
        };
        if let Some(target) = tag.attributes.get(attribute) {
            links.push(String::from_utf8_lossy(target).into_owned());
        }
    }
    links
}

/// What a link on the page `base` leads to. `None` for links that are not `http:`, and for those within the page.
pub fn resolve(base: &Uri, link: &str) -> Option<Uri> {
    let link = link.split('#').next().filter(|link| !link.is_empty())?;
    let absolute = if link.contains("://") {
        link.to_owned()
    } else if link.starts_with("//") {
        format!("http:{link}")
    } else if link.contains(':') {
        return None; // `mailto:` and the like.
    } else if link.starts_with('/') {
        format!("http://{}{link}", base.authority()?)
    } else {
        let folder = &base.path()[..=base.path().rfind('/')?];
        format!("http://{}{}", base.authority()?, normal(&format!("{folder}{link}")))
    };
    absolute.parse().ok().filter(|url: &Uri| url.scheme_str() == Some("http"))
}

/// A path without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_resolved() {
        let html = r##"<a href="b.html">b</a> <img src='../c.png'> <a href="mailto:x@y">mail</a> <a href="#top">top</a>
            <a href="http://other.example/">other</a> <!-- <a href="commented.html"> --> <a>nothing</a>"##;
        let base: Uri = "http://host/a/index.html".parse().unwrap();
        let found: Vec<String> =
            links(html).iter().filter_map(|link| resolve(&base, link)).map(|url| url.to_string()).collect();
        assert_eq!(found, ["http://host/a/b.html", "http://host/c.png", "http://other.example/"]);
    }
}
