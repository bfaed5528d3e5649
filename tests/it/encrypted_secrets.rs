//! A secret that is encrypted for the connector: encrypted, used, and encrypted for another identity.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use crate::harness::{Bench, Ran, is_protected, picture};

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_secret_works_end_to_end() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    let keys = bench.run(&["secrets", "keygen", "--json"]).await.summary();
    let encrypt = async |secret: &str| {
        let mut encrypting = bench
            .command(&["secrets", "encrypt", "--recipient", keys["recipient"].as_str().unwrap()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        encrypting.stdin.take().unwrap().write_all(secret.as_bytes()).await.unwrap();
        Ran::new(encrypting.wait_with_output().await.unwrap())
    };
    let too_long = encrypt(&"x".repeat((64 << 10) + 1)).await;
    assert!(too_long.assert_code(2).talk.contains("longer than 64 KiB"), "{too_long:?}");
    let token = bench.sandbox.announcement().token;
    let encrypted = encrypt(&token).await.assert_code(0).out.clone();
    bench.reconfigure(&format!("api_token = '{token}'"), &format!("api_token = {encrypted}"));
    let without = bench.sync().await;
    assert!(without.assert_code(3).talk.contains("set CONNECTOR_AGE_IDENTITY"), "{without:#?}");
    let identity = [("CONNECTOR_AGE_IDENTITY", keys["identity"].as_str().unwrap().to_owned())];
    bench.run_with(&["sync", "--full", "--quiet"], &identity).await.assert_code(0);
    assert!(is_protected(&bench.asset(&id)));

    // Rotated, the rest of the file stays as it is, and the old identity opens nothing any more.
    bench.reconfigure("[imatag]\n", "[imatag] # the watermarks\n");
    let new = bench.run(&["secrets", "keygen", "--json"]).await.summary();
    let rotate = ["secrets", "rotate", "--recipient", new["recipient"].as_str().unwrap()];
    let refused = bench.run(&rotate).await;
    assert!(refused.assert_code(3).talk.contains("bynder.api_token"), "{refused:?}");
    let rotated = bench.run_with(&rotate, &identity).await;
    assert_eq!(rotated.assert_code(0).out.trim(), "re-encrypted: bynder.api_token");
    let text = std::fs::read_to_string(bench.path("connector.toml")).unwrap();
    assert!(text.contains("[imatag] # the watermarks\n") && !text.contains(&encrypted), "{text}");
    bench.run_with(&["config", "check"], &identity).await.assert_code(3);
    let identity = [("CONNECTOR_AGE_IDENTITY", new["identity"].as_str().unwrap().to_owned())];
    bench.run_with(&["config", "check"], &identity).await.assert_code(0);
}
