//! The shop behind a real Varnish: the script that shows it does as it says, and Varnish is configured as documented.

use std::process::Command;

/// Each of its steps is checked by the script itself.
#[test]
fn the_demonstration_behind_varnish_goes_as_it_says() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/demo");

    let output = Command::new("bash")
        .arg(script)
        .env("SHOP", env!("CARGO_BIN_EXE_shop"))
        .output()
        .expect("bash is there");

    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.ends_with("All as said.\n"), "{said}{complained}");
}

/// A step that does not go as it says must end the script with an error: here no product has the old price.
#[test]
fn the_demonstration_behind_varnish_fails_if_a_step_does_not_go_as_it_says() {
    let script = include_str!("../demo");
    let spoiled = script.replacen("shows '42.42'", "shows '20.54'", 1);
    assert_ne!(script, spoiled);
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/demo");

    let output = Command::new("bash")
        .args(["-c", &spoiled, place])
        .env("SHOP", env!("CARGO_BIN_EXE_shop"))
        .output()
        .expect("bash is there");

    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        complained.contains("NOT AS SAID: the page should show '20.54'"),
        "{complained}"
    );
}

/// What the shop's configuration adds stands before it.
#[test]
fn the_shops_varnish_is_configured_as_the_documentation_says() {
    let documented = include_str!("../../../docs/varnish.vcl");
    let own = include_str!("../varnish.vcl");

    let rules =
        |text: &'static str| text.split_once("sub vcl_recv {\n    unset req.http.x-purged;");

    assert_eq!(rules(own).unwrap().1, rules(documented).unwrap().1);
}
