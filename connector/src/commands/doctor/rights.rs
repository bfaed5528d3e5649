//! What the roles of the token's user permit. The token has the scope and its user has the role; both are needed.

use config::OutputMode;

use super::report::Finding;

/// The role that each kind of call needs.
const DOWNLOAD: &str = "MEDIAHIGHRES";
const EDIT: &str = "MEDIAEDIT";
const UPLOAD: &str = "MEDIAUPLOAD";
const UPLOAD_FOR_APPROVAL: &str = "MEDIAUPLOADFORAPPROVAL";

/// What the user's roles permit for saving.
pub(super) fn may_upload(roles: &[String]) -> Finding {
    if has(roles, UPLOAD) {
        Finding::Pass("what is saved shows at once (role MEDIAUPLOAD)".to_owned())
    } else if has(roles, UPLOAD_FOR_APPROVAL) {
        let text = "the user may only upload for approval: each job ends as awaiting_approval, and what it saved shows once a \
                    person approves it; give the user the role MEDIAUPLOAD to do without";
        Finding::Warn(text.to_owned())
    } else {
        Finding::Fail("the user may not upload: give it the role MEDIAUPLOAD".to_owned(), 4)
    }
}

/// What they permit for downloading originals.
pub(super) fn may_download(roles: &[String]) -> Finding {
    if has(roles, DOWNLOAD) {
        Finding::Pass("originals can be fetched (role MEDIAHIGHRES)".to_owned())
    } else {
        Finding::Fail("the user may not fetch originals: give it the role MEDIAHIGHRES".to_owned(), 4)
    }
}

/// What they permit for the hash metaproperty.
pub(super) fn may_edit(roles: &[String], mode: OutputMode) -> Finding {
    if has(roles, EDIT) {
        return Finding::Pass("the hash metaproperty can be written (role MEDIAEDIT)".to_owned());
    }
    let what = match mode {
        OutputMode::Version => "every job would fail before it saves anything",
        OutputMode::Copy => "copies would be made that nothing ties to their originals",
        OutputMode::Additional => "additional files would be made that no marker names",
    };
    let text =
        format!("the user may not write the hash metaproperty, and {what}: give it the role MEDIAEDIT");
    Finding::Fail(text, 4)
}

fn has(roles: &[String], role: &str) -> bool {
    roles.iter().any(|known| known == role)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn each_missing_role_is_named_with_what_it_would_cost() {
        let all = roles(&[DOWNLOAD, EDIT, UPLOAD]);
        for mode in [OutputMode::Version, OutputMode::Copy, OutputMode::Additional] {
            assert!(matches!(may_edit(&all, mode), Finding::Pass(_)));
            let without = may_edit(&roles(&[DOWNLOAD, UPLOAD]), mode);
            assert!(matches!(&without, Finding::Fail(text, 4) if text.contains(EDIT)), "{without:?}");
        }
        assert!(matches!(may_edit(&[], OutputMode::Copy), Finding::Fail(text, 4) if text.contains("ties")));
        assert!(matches!(may_download(&all), Finding::Pass(_)));
        assert!(matches!(may_download(&[]), Finding::Fail(text, 4) if text.contains(DOWNLOAD)));
        assert!(matches!(may_upload(&all), Finding::Pass(_)));
        assert!(matches!(may_upload(&roles(&[UPLOAD_FOR_APPROVAL])), Finding::Warn(_)));
        assert!(matches!(may_upload(&[]), Finding::Fail(_, 4)));
    }
}
