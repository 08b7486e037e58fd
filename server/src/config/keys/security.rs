//! Properties about who may do what. Here a key that asks for protection which does not exist
//! is refused rather than warned about.

use super::{CLIENT_LIBRARY, Key, Kind, Place, Status, key, refused, refused_unless, warned, warned_unless};
use Status::Honoured;

const fn property(name: &'static str, kind: Kind, default: &'static str, about: &'static str, status: Status) -> Key {
    key(Place::Property, name, kind, default, about, status)
}

const NO_TLS: &str = "this server does not speak TLS yet, neither with clients nor with servers. \
     Remove the key, and put a TLS proxy in front if it is needed";

const NO_SASL: &str = "this server does not offer SASL yet. Remove the key, and protect znodes by \
     digest or ip";

const WITHOUT_SASL: &str = "there is no SASL here yet, so nobody can become such a user";

const WITHOUT_X509: &str = "there is no TLS here yet, so nobody can become such a user";

const NO_KERBEROS: &str = "there is no Kerberos here";

const NO_ENSEMBLE_SCHEME: &str = "the scheme ensemble does not exist here, and clients of another ensemble would be served. Remove \
     the key";

const NO_AUDIT: &str = "there is no audit log here yet, and changes would go unrecorded. Set it to false or remove it";

const TLS_NAMES: &str = "TLS with clients: authProvider, sslProvider, protocol, enabledProtocols, ciphersuites, \
     keyStore.location/password/passwordPath/type, trustStore.location/password/passwordPath/type, \
     context.supplier.class, hostnameVerification, clientHostnameVerification, allowReverseDnsLookup, \
     crl, ocsp, clientAuth, handshakeDetectionTimeoutMillis";

const AUTH_PROVIDERS: &str = "Further classes for authentication; IPAuthenticationProvider and DigestAuthenticationProvider are \
     taken, others refused";

pub(super) static KEYS: &[Key] = &[
    property("DigestAuthenticationProvider.enabled", Kind::Bool, "true", "Knows the scheme digest", Honoured),
    property(
        "DigestAuthenticationProvider.superDigest",
        Kind::Text,
        "",
        "super:BASE64(DIGEST(super:password)); who knows the password may do everything",
        Honoured,
    )
    .secret(),
    property(
        "DigestAuthenticationProvider.digestAlg",
        Kind::Text,
        "SHA1",
        "Hash of the scheme digest, by the names of the JVM",
        Honoured,
    ),
    property("authProvider.*", Kind::Text, "", AUTH_PROVIDERS, Honoured),
    property("enforce.auth.enabled", Kind::Bool, "false", "Serves only clients that have authenticated", Honoured),
    property(
        "enforce.auth.schemes",
        Kind::Words,
        "",
        "Schemes of which one is then needed; digest and ip are taken, others refused",
        Honoured,
    ),
    property(
        "sessionRequireClientSASLAuth",
        Kind::Bool,
        "false",
        "Serves only clients that have authenticated by SASL",
        refused_unless(&["false"], NO_SASL),
    ),
    property(
        "allowSaslFailedClients",
        Kind::Bool,
        "false",
        "Serves clients whose SASL login failed",
        warned_unless(&["false"], "there is no SASL here yet, so no login can fail"),
    ),
    property("superUser", Kind::Text, "", "SASL user who may do everything", warned(WITHOUT_SASL)),
    property("superUser.*", Kind::Text, "", "Further such users", warned(WITHOUT_SASL)),
    property("letAnySaslUserDoX", Kind::Text, "", "SASL users may do what this user may", warned(WITHOUT_SASL)),
    property(
        "SASLAuthenticationProvider.superPassword",
        Kind::Text,
        "",
        "Password of the SASL user super",
        warned(WITHOUT_SASL),
    )
    .secret(),
    property("sasl.serverconfig", Kind::Text, "Server", "JAAS section with which SASL is offered", refused(NO_SASL)),
    property("sasl.client", Kind::Bool, "true", "Logs in by SASL", CLIENT_LIBRARY),
    property("sasl.client.username", Kind::Text, "zookeeper", "Service name for that", CLIENT_LIBRARY),
    property("sasl.client.canonicalize.hostname", Kind::Bool, "true", "Host name for that", CLIENT_LIBRARY),
    property("sasl.client.allowReverseDnsLookup", Kind::Bool, "true", "Host name for that", CLIENT_LIBRARY),
    property("sasl.clientconfig", Kind::Text, "Client", "JAAS section for that", CLIENT_LIBRARY),
    property("server.principal", Kind::Text, "", "Principal of the server for that", CLIENT_LIBRARY),
    property("server.realm", Kind::Text, "", "Kerberos realm of the server", warned(NO_KERBEROS)),
    property(
        "kerberos.removeHostFromPrincipal",
        Kind::Bool,
        "false",
        "Shortens the user's name",
        warned_unless(&["false"], NO_KERBEROS),
    ),
    property(
        "kerberos.removeRealmFromPrincipal",
        Kind::Bool,
        "false",
        "Shortens the user's name",
        warned_unless(&["false"], NO_KERBEROS),
    ),
    property(
        "kerberos.canonicalizeHostNames",
        Kind::Bool,
        "false",
        "Asks DNS for the names of servers",
        warned_unless(&["false"], NO_KERBEROS),
    ),
    property("kerberos.minReLoginTimeMs", Kind::Long, "60000", "Time between two logins, ms", warned(NO_KERBEROS)),
    property("security.auth_to_local", Kind::Text, "DEFAULT", "Turns principals into users", warned(NO_KERBEROS)),
    property(
        "requireKerberosConfig",
        Kind::Exactly("true", "false"),
        "false",
        "Does not start without Kerberos",
        refused_unless(&["false"], "there is no Kerberos here. Remove the key"),
    ),
    property("kinit", Kind::Path, "/usr/bin/kinit", "Program that renews tickets", warned(NO_KERBEROS)),
    property(
        "IPAuthenticationProvider.usexforwardedfor",
        Kind::Bool,
        "false",
        "The AdminServer believes X-Forwarded-For",
        warned_unless(&["false"], "there is no AdminServer yet that could look at HTTP headers"),
    ),
    property(
        "X509AuthenticationProvider.superUser",
        Kind::Text,
        "",
        "Certificate of a user who may do everything",
        warned(WITHOUT_X509),
    ),
    property(
        "X509AuthenticationProvider.*",
        Kind::Text,
        "",
        "Further options of client certificates",
        warned(WITHOUT_X509),
    ),
    property(
        "ensembleAuthName",
        Kind::Words,
        "",
        "Names of ensembles that a client may ask for, checked by the provider ensemble",
        refused(NO_ENSEMBLE_SCHEME),
    ),
    property(
        "client.portUnification",
        Kind::Bool,
        "false",
        "TLS and plain connections on one port",
        refused_unless(&["false"], NO_TLS),
    ),
    property(
        "client.certReload",
        Kind::Bool,
        "false",
        "Reads changed certificates",
        refused_unless(&["false"], NO_TLS),
    ),
    property(
        "fips-mode",
        Kind::Bool,
        "true",
        "Restricts TLS and SASL to FIPS",
        warned_unless(&["true"], "there is neither TLS nor SASL here that it could change"),
    ),
    property("ssl.quorum.*", Kind::Text, "", "TLS between servers: the same names as ssl.*", refused(NO_TLS)).secret(),
    property("ssl.*", Kind::Text, "", TLS_NAMES, refused(NO_TLS)).secret(),
    property(
        "audit.enable",
        Kind::Bool,
        "false",
        "Writes a line for each change",
        refused_unless(&["false"], NO_AUDIT),
    ),
    property(
        "audit.impl.class",
        Kind::Text,
        "org.apache.zookeeper.audit.Slf4jAuditLogger",
        "Which Java class writes it",
        warned("there is no audit log here yet"),
    ),
];
