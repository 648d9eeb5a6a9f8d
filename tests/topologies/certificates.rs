//! An authority of the test's own, and a Redis with a certificate of it.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};
use tricache_test_support::{RedisServer, Sentinel, SentinelGroup, free_port};

/// Whoever signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = "tricache's tests";
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap());
        Self(issuer.unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        let certificate: &Certificate = self.0.as_ref();
        certificate.pem()
    }

    /// A certificate for this host or address.
    pub(crate) fn sign(&self, host: &str) -> Signed {
        self.signed(host, |_| {})
    }

    /// One that has run out.
    pub(crate) fn sign_for_long_ago(&self, host: &str) -> Signed {
        self.signed(host, |params| params.not_after = date_time_ymd(2001, 1, 1))
    }

    fn signed(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Signed {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Signed {
    /// Writes both to files; answers their paths.
    fn store(&self) -> [String; 2] {
        [
            store("certificate", &self.certificate),
            store("key", &self.key),
        ]
    }
}

/// A Redis that also speaks TLS, on a port of its own.
pub(crate) struct SecureServer {
    pub(crate) redis: RedisServer,
    pub(crate) port: u16,
}

impl SecureServer {
    /// With this certificate; `more`: further arguments.
    pub(crate) fn start(authority: &Authority, own: &Signed, more: &[&str]) -> Self {
        let port = free_port();
        let [certificate, key, roots] = files(authority, own);
        let arguments = [
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &roots,
            "--tls-auth-clients",
            "no",
        ];
        let redis = RedisServer::start_with(&[&arguments, more].concat());
        Self { redis, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }

    /// Shows another certificate from here on, and closes all connections.
    pub(crate) fn change(&self, own: &Signed) {
        let [certificate, key] = own.store();
        let set = [
            "CONFIG",
            "SET",
            "tls-cert-file",
            &certificate,
            "tls-key-file",
            &key,
        ];
        assert_eq!(self.redis.command(&set), "OK");
        self.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        self.redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
}

/// A sentinel that names this server, and speaks TLS itself; with its port.
pub(crate) fn secure_sentinel(
    authority: &Authority,
    own: &Signed,
    server: &SecureServer,
) -> (Sentinel, u16) {
    let (port, name) = (free_port(), SentinelGroup::MASTER);
    let [certificate, key, roots] = files(authority, own);
    let sentinel = Sentinel::start(&format!(
        "tls-port {port}\ntls-replication yes\ntls-auth-clients no\n\
         tls-cert-file {certificate}\ntls-key-file {key}\ntls-ca-cert-file {roots}\n\
         sentinel monitor {name} 127.0.0.1 {} 1\n",
        server.port
    ));
    (sentinel, port)
}

/// The paths of a certificate, its key, and the roots.
fn files(authority: &Authority, own: &Signed) -> [String; 3] {
    let [certificate, key] = own.store();
    [certificate, key, store("roots", &authority.pem())]
}

/// A file below the folder that is made for tests.
fn store(what: &str, text: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{what}-{}-{next}.pem", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path.into_os_string().into_string().unwrap()
}
