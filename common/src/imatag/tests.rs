use super::*;

fn overridden(text: &str) -> Result<Profile, profile::ProfileError> {
    Profile::load("imatag", &text.parse().unwrap())
}

#[test]
fn the_builtin_profile_is_read_and_says_that_nobody_confirmed_it() {
    let profile = overridden("").unwrap();
    assert!(!profile.confirmed);
    assert_eq!(profile.base_url.as_str(), "https://app.imatag.com/api/v4");
}

#[test]
fn single_keys_are_overridden_and_wrong_ones_named() {
    let profile = overridden("submit = { path = 'files/' }").unwrap();
    assert_eq!((profile.submit.path.as_str(), profile.submit.file_field.as_str()), ("files/", "file"));
    let table = [
        ("sumbit = { path = 'x' }", "unknown field `sumbit`"),
        ("status = { path = 'media/' }", "status.path needs {id}"),
        ("response = { id = 'id' }", "\"id\" is not a JSON Pointer"),
        ("mode = 'sometimes'", "unknown variant `sometimes`"),
        ("polling = { deadline = 'soon' }", "is not a duration"),
        ("submit = { file_field = '' }", "submit.file_field is needed"),
    ];
    for (text, wanted) in table {
        let message = overridden(text).unwrap_err().to_string();
        assert!(message.contains(wanted), "{text}: {message}");
    }
}

#[test]
fn a_profile_file_that_is_not_there_is_named() {
    let message = Profile::load("/nowhere.toml", &toml::Table::new()).unwrap_err().to_string();
    assert!(message.contains("cannot read the wire profile /nowhere.toml"), "{message}");
}

#[test]
fn ids_from_outside_stay_inside_their_path_segment() {
    let settings = Settings {
        profile: overridden("").unwrap(),
        base_url: None,
        allow_http: false,
        credential: Credential::ApiKey(secrecy::SecretString::from("k3y")),
        directories: ["acme".parse().unwrap()].into(),
        media_id_metadata: "bynder_media_id".to_owned(),
        request_timeout: Duration::from_secs(1),
        metrics: crate::telemetry::Metrics::new(),
        witness: None,
        uploads_in_flight: 1,
    };
    let imatag = Imatag::new(settings).unwrap();
    let evil = MediumId::try_from("../../account?x=".to_owned()).unwrap();
    let url = imatag.url("media/{id}/", Some(&evil)).unwrap();
    assert_eq!(url.as_str(), "https://app.imatag.com/api/v4/media/%2E%2E%2F%2E%2E%2Faccount%3Fx%3D/");
    assert!(imatag.url("https://elsewhere.example/", None).is_err());
    assert!(!format!("{imatag:?}").contains("k3y"));
}
