// Keys and tokens that PyJWT 2.6 made, with Python's cryptography 38; the private keys are gone.
// Claims: sub, exp, iat, jti, roles, info, aud, iss, as `pyJWTIdentity` has them.

let pyJWTSet = ##"""
  {"keys": [
    {"kty": "EC", "crv": "P-256", "kid": "es", "alg": "ES256", "use": "sig", "x": "3D4ub0QSICeQ47VhTalrxoHezsFDTHFETpHUpQ4sZuE", "y": "u1WCDOntsDyU1_WbkcO7QPJA6F6OsNurkhu56xoGut8"},
    {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA", "use": "sig", "x": "JiTTd5nia-k3Uq_wJjoQul5q4SPUq-wR9nFSF0TwmVE"},
    {"kty": "RSA", "kid": "rs", "alg": "RS256", "use": "sig", "n": "tkiFdkfxwqgzUPGBlP1AEdxTcx23KcvX0yVCIoopTypWsGEY0tF_q9QqNBtXpeI3mUvTWxnITZZzP6nKjWTJPmKqP3Y0v6aBIbueCEDbnOIsZR4qsTpejfnC0aAoHhyMX-vtcaQtlznn8mnZ1VdIbir8BnGLed81-XCnkjGCc0rZkZ_9hiDLInUfI5bBgpu93hKxwntlCz2-nbqsVLa5mpcI87Gpv2fVt_bMMLvLfyN1Ap-x0yMPPwHsVugGG2fy1XgvtJmXPRu9j0v2A4epPCY6J9UMGy-v7vB93uYceyjjEzsiGvfPdRSJN47pS9Wd5ESXTzN8BWAAwWSUSGd6Tw", "e": "AQAB"},
    {"kty": "oct", "kid": "hs", "alg": "HS256", "k": "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8"}
  ]}
  """##

let pyJWTTokens: [String: String] = [
  "ES256": "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVzIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4"
    + "MDAsImlhdCI6MTcwMDAwMDAwMCwianRpIjoidC0xIiwicm9sZXMiOlsiYWRtaW4iXSwiaW5mbyI6eyJuYW1lIjoi"
    + "QWRhIn0sImF1ZCI6InNhcHBoaXJlIiwiaXNzIjoiaHR0cHM6Ly9pZC5leGFtcGxlIn0.9GVR5jw6DCK_su6-PvAX"
    + "82u9aXeAwl-Htb6n1nJCueC-8kkhifHfx1HDIqJfiB1fh2BTJeeze95XdC7NHgBGNA",
  "EdDSA": "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4"
    + "MDAsImlhdCI6MTcwMDAwMDAwMCwianRpIjoidC0xIiwicm9sZXMiOlsiYWRtaW4iXSwiaW5mbyI6eyJuYW1lIjoi"
    + "QWRhIn0sImF1ZCI6InNhcHBoaXJlIiwiaXNzIjoiaHR0cHM6Ly9pZC5leGFtcGxlIn0.f7sTnBdKodGPcXv6b6LN"
    + "aFc3BOmKwKEcrW7BaSZA3HMEKZ25HpNS8yfTbhvz0YZLU6BIy2N6yHBWsAI8WtdkBw",
  "RS256": "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4"
    + "MDAsImlhdCI6MTcwMDAwMDAwMCwianRpIjoidC0xIiwicm9sZXMiOlsiYWRtaW4iXSwiaW5mbyI6eyJuYW1lIjoi"
    + "QWRhIn0sImF1ZCI6InNhcHBoaXJlIiwiaXNzIjoiaHR0cHM6Ly9pZC5leGFtcGxlIn0.OOjvwtm1OCQtOpxOLStd"
    + "x8x4dPp2KBvenHQCzEJ_JJI3RU2wr7UvJ6TWE8W4DQhroJI6TpbFTF0_Yj0xv1ASdIAlHVk_ye980CNdf9hI3ss0"
    + "ZiAl-sYhiraC-qEqHtzsgWw4n8urEkzg6QwRvkEK_MP_hqN2Os2OpYkIZNoFjFXXikTaV9vY7i0Z-V-oiVRqXdV5"
    + "TBFp3_vC5ueKZ5etSIoOR7G0mZM8F-9uQWeAMWJwrY1eu7y_UJt3p3Gem_zabBvtMYQ4YcuE95oOLGP-iHb9UaY3"
    + "lE6HtbPkkP_d-YGmVW6-g7d5z_FWvsGPGA5_N2nkXsRkuqyRQP-gSmxf9w",
  "HS256": "eyJhbGciOiJIUzI1NiIsImtpZCI6ImhzIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4"
    + "MDAsImlhdCI6MTcwMDAwMDAwMCwianRpIjoidC0xIiwicm9sZXMiOlsiYWRtaW4iXSwiaW5mbyI6eyJuYW1lIjoi"
    + "QWRhIn0sImF1ZCI6InNhcHBoaXJlIiwiaXNzIjoiaHR0cHM6Ly9pZC5leGFtcGxlIn0.S-9YLOPOVbt9VUEtQ1Ib"
    + "I2i8PoTGOKukxC7sykTaveg",
]

let pyJWTPEMOfES256 = """
  -----BEGIN PUBLIC KEY-----
  MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE3D4ub0QSICeQ47VhTalrxoHezsFD
  THFETpHUpQ4sZuG7VYIM6e2wPJTX9ZuRw7tA8kDoXo6w26uSG7nrGga63w==
  -----END PUBLIC KEY-----

  """

let pyJWTPEMOfRS256 = """
  -----BEGIN PUBLIC KEY-----
  MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtkiFdkfxwqgzUPGBlP1A
  EdxTcx23KcvX0yVCIoopTypWsGEY0tF/q9QqNBtXpeI3mUvTWxnITZZzP6nKjWTJ
  PmKqP3Y0v6aBIbueCEDbnOIsZR4qsTpejfnC0aAoHhyMX+vtcaQtlznn8mnZ1VdI
  bir8BnGLed81+XCnkjGCc0rZkZ/9hiDLInUfI5bBgpu93hKxwntlCz2+nbqsVLa5
  mpcI87Gpv2fVt/bMMLvLfyN1Ap+x0yMPPwHsVugGG2fy1XgvtJmXPRu9j0v2A4ep
  PCY6J9UMGy+v7vB93uYceyjjEzsiGvfPdRSJN47pS9Wd5ESXTzN8BWAAwWSUSGd6
  TwIDAQAB
  -----END PUBLIC KEY-----

  """

/// The ES256 token whose key has no id.
let tokenWithoutKeyID = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDAsImlhdCI6MTcwM"
  + "DAwMDAwMCwianRpIjoidC0xIiwicm9sZXMiOlsiYWRtaW4iXSwiaW5mbyI6eyJuYW1lIjoiQWRhIn0sImF1ZCI6InN"
  + "hcHBoaXJlIiwiaXNzIjoiaHR0cHM6Ly9pZC5leGFtcGxlIn0.Ddx3ZIgW7I7xNIw2TRnsf4H0hOOA-4DQRTiYxtQ6s"
  + "_L6l7NzInzUECwMvR0RE30kSRYWl1IguB1WQVxCAd293A"

let weakRSA = ##"""
  {"kty": "RSA", "kid": "weak", "alg": "RS256", "n": "n04-Lba5tqSlYqlYNOUhghiAdbNgDr8-eADzGgfdpI2utIHO3zXgQJ0NUkSIrfEhJCVNo6Kii_HE91x6mCOvFfFykSHKnIObNgfZwmus6FEdb25qHJn3zdwCW4qZsKmo0g6YrLs2HG01W3tSY0l-So4I0cq1ybdHWX1wnSjnUq8", "e": "AQAB"}
  """##
