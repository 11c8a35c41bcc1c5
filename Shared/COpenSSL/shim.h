// OpenSSL, and what of it Swift can't call: macros, and callbacks that C makes simpler.
#pragma once
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

/// Buffers lent to a connection for one call: what has come, and room for what goes out.
struct copenssl_lent {
  const unsigned char *input;
  size_t input_count;
  unsigned char *output;
  size_t output_room;
  size_t output_count;
  /// Messages of the handshake protocol that came behind the handshake, and how many may.
  unsigned late_messages;
  unsigned late_messages_max;
  int is_open;
};

static int copenssl_lent_read(BIO *bio, char *bytes, int count) {
  struct copenssl_lent *lent = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (count <= 0) return 0;
  // Each costs us an answer and new keys: nothing more is read of who sends them without end.
  if (lent->late_messages > lent->late_messages_max) return -1;
  if (lent->input_count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t taken = lent->input_count < (size_t)count ? lent->input_count : (size_t)count;
  memcpy(bytes, lent->input, taken);
  lent->input += taken;
  lent->input_count -= taken;
  return (int)taken;
}

static int copenssl_lent_write(BIO *bio, const char *bytes, int count) {
  struct copenssl_lent *lent = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (count <= 0) return 0;
  size_t room = lent->output_room - lent->output_count;
  if (room == 0) {
    BIO_set_retry_write(bio);
    return -1;
  }
  size_t written = room < (size_t)count ? room : (size_t)count;
  memcpy(lent->output + lent->output_count, bytes, written);
  lent->output_count += written;
  return (int)written;
}

static long copenssl_lent_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

/// How a BIO reads and writes lent buffers; free it after all that were made with it.
static inline BIO_METHOD *copenssl_lent_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lent buffers");
  if (method == NULL) return NULL;
  BIO_meth_set_read(method, copenssl_lent_read);
  BIO_meth_set_write(method, copenssl_lent_write);
  BIO_meth_set_ctrl(method, copenssl_lent_control);
  return method;
}

/// Counts what comes of the handshake protocol once the connection is open: updates of keys,
/// attempts to renegotiate, tickets.
static inline void copenssl_count_message(int is_write, int version, int type, const void *bytes,
                                          size_t count, SSL *ssl, void *unused) {
  (void)version, (void)bytes, (void)count, (void)unused;
  if (is_write || type != SSL3_RT_HANDSHAKE) return;
  struct copenssl_lent *lent = BIO_get_data(SSL_get_rbio(ssl));
  if (lent->is_open) lent->late_messages++;
}

/// Gives `ssl` a BIO over `lent`, which lives as long as `ssl`; 0 without memory.
static inline int copenssl_lend(SSL *ssl, BIO_METHOD *method, struct copenssl_lent *lent) {
  BIO *bio = BIO_new(method);
  if (bio == NULL) return 0;
  BIO_set_data(bio, lent);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  return 1;
}

/// The one protocol spoken behind TLS here, as ALPN writes it (RFC 7301).
static const unsigned char copenssl_http11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

/// RFC 7301 §3.2: who offers protocols and not this one is refused.
static int copenssl_select_http11(
    SSL *ssl, const unsigned char **chosen, unsigned char *chosen_count,
    const unsigned char *offered, unsigned offered_count, void *unused) {
  (void)ssl, (void)unused;
  unsigned char *match = NULL;
  if (SSL_select_next_proto(&match, chosen_count, copenssl_http11, sizeof copenssl_http11, offered,
                            offered_count) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = match;
  return SSL_TLSEXT_ERR_OK;
}

/// What both ends have in common; 0 where the library refuses any of it.
static inline int copenssl_configure(SSL_CTX *context, int is_server, int has_tickets) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Swift's arrays move between calls; buffers of an idle connection are given back.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_msg_callback(context, copenssl_count_message);
  SSL_CTX_set_security_level(context, 2);
  if (!has_tickets) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  if (is_server && !has_tickets && !SSL_CTX_set_num_tickets(context, 0)) return 0;
  if (!SSL_CTX_set_max_early_data(context, 0)) return 0;
  if (is_server)
    SSL_CTX_set_alpn_select_cb(context, copenssl_select_http11, NULL);
  else if (SSL_CTX_set_alpn_protos(context, copenssl_http11, sizeof copenssl_http11))
    return 0;
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) &&
         SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") &&
         SSL_CTX_set_cipher_list(
             context,
             "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
             "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
             "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305");
}

/// Only up to TLS 1.2, for tests of that version.
static inline int copenssl_limit_to_tls12(SSL_CTX *context) {
  return SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
}

/// TLS 1.3 and nothing older.
static inline int copenssl_require_tls13(SSL_CTX *context) {
  return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
}

static inline int copenssl_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
  return SSL_CTX_add1_chain_cert(context, certificate);
}

/// The peer's certificate has to be for `name`. Addresses are compared as such, and are no server
/// names (RFC 6066 §3).
static inline int copenssl_expect(SSL *ssl, const char *name, int is_address) {
  if (is_address) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
  return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
}

/// Why the peer's certificate was refused; NULL where it was not.
static inline const char *copenssl_verify_error(SSL *ssl) {
  long code = SSL_get_verify_result(ssl);
  return code == X509_V_OK ? NULL : X509_verify_cert_error_string(code);
}

/// Seconds since 1970 of a certificate's time; 0 where it can't be read.
static inline int copenssl_seconds(const ASN1_TIME *time, long long *seconds) {
  ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
  int days = 0, rest = 0;
  int is_read = epoch != NULL && ASN1_TIME_diff(&days, &rest, epoch, time);
  ASN1_TIME_free(epoch);
  *seconds = (long long)days * 86400 + rest;
  return is_read;
}

/// In place of a prompt at the terminal: there is no password.
static inline int copenssl_no_password(char *buffer, int count, int is_writing, void *unused) {
  (void)buffer, (void)count, (void)is_writing, (void)unused;
  return -1;
}

/// A new key of P-256.
static inline EVP_PKEY *copenssl_generate_p256(void) { return EVP_EC_gen("P-256"); }

static inline long copenssl_bio_bytes(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }
