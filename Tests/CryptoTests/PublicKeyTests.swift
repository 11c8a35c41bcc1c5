import Bytes
import Crypto
import Testing

/// The signatures that RFC 7515 appendix A.2 and A.3, RFC 7520 §4.1 and RFC 8037 appendix A.4
/// publish: what was signed, and by whom.
private struct Example: Sendable {
  let name: String
  let key: @Sendable () -> PublicKey?
  let signed: String
  let signature: String
}

private func decoded(_ text: String) -> [UInt8] { bytes(base64: text) ?? [] }

private let joe =
  "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

private let examples: [Example] = [
  Example(
    name: "RFC 7515 A.2, RSA",
    key: {
      PublicKey(
        rsaModulus: decoded(
          "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
            + "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpa"
            + "SHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9k"
            + "G4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp"
            + "oQ"), exponent: decoded("AQAB"))
    },
    signed: "eyJhbGciOiJSUzI1NiJ9." + joe,
    signature:
      "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
      + "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB"
      + "MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6I"
      + "eYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"),
  Example(
    name: "RFC 7515 A.3, ECDSA",
    key: {
      PublicKey(
        p256X: decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
        y: decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"))
    },
    signed: "eyJhbGciOiJFUzI1NiJ9." + joe,
    signature:
      "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
  Example(
    name: "RFC 7520 4.1, RSA",
    key: {
      PublicKey(
        rsaModulus: decoded(
          "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_"
            + "AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFE"
            + "HYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3"
            + "-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5"
            + "zw"), exponent: decoded("AQAB"))
    },
    signed: "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9."
      + "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAg"
      + "b250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dp"
      + "bmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4",
    signature:
      "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xugl"
      + "II7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5a"
      + "AE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podG"
      + "U0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"),
  Example(
    name: "RFC 8037 A.4, Ed25519",
    key: { PublicKey(ed25519: decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")) },
    signed: "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
    signature:
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
]

@Suite struct PublicKeyTests {
  @Test(arguments: 0..<examples.count) func checksThePublishedSignatures(index: Int) throws {
    let example = examples[index]
    let key = try #require(example.key(), "\(example.name)")
    let message = [UInt8](example.signed.utf8)
    let signature = decoded(example.signature)
    for _ in 0..<3 {
      #expect(key.isValid(signature: signature, message: message), "\(example.name)")
    }
    for index in signature.indices {
      var damaged = signature
      damaged[index] ^= 1 << UInt8(index & 7)
      #expect(!key.isValid(signature: damaged, message: message), "\(example.name) at \(index)")
    }
    #expect(!key.isValid(signature: signature, message: message + [0]))
    for count in [0, 1, 31, 32, 63, 65, 255, 257] where count != signature.count {
      let cut = Array((signature + signature + signature + signature + signature).prefix(count))
      #expect(!key.isValid(signature: cut, message: message), "\(example.name): \(count) bytes")
    }
    #expect(
      !key.isValid(
        signature: [UInt8](repeating: 0, count: signature.count), message: message))
  }

  @Test func isSharedByThreads() async throws {
    let example = examples[1]
    let key = try #require(example.key())
    let message = [UInt8](example.signed.utf8)
    let signature = decoded(example.signature)
    let count = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask {
          (0..<50).count { _ in key.isValid(signature: signature, message: message) }
        }
      }
      return await group.reduce(0, +)
    }
    #expect(count == 400)
  }

  /// r and s as numbers out of range, and the same signature as ASN.1 has it.
  @Test func refusesNumbersThatNoSignatureHas() throws {
    let example = examples[1]
    let key = try #require(example.key())
    let message = [UInt8](example.signed.utf8)
    let signature = decoded(example.signature)
    let zero = [UInt8](repeating: 0, count: 32)
    let order = try #require(
      bytes(hex: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"))
    let most = [UInt8](repeating: 0xFF, count: 32)
    let (r, s) = (Array(signature[..<32]), Array(signature[32...]))
    for forged in [
      zero + zero, zero + s, r + zero, order + order, r + order, order + s, most + most, s + r,
    ] {
      #expect(!key.isValid(signature: forged, message: message))
    }
    let der: [UInt8] = [0x30, 0x45, 0x02, 0x20] + r + [0x02, 0x21, 0x00] + s
    #expect(!key.isValid(signature: der, message: message))
    #expect(!key.isValid(signature: Array(der.prefix(64)), message: message))
  }

  @Test func refusesKeysThatCanNotBeOne() {
    #expect(PublicKey(subjectPublicKeyInfo: []) == nil)
    #expect(PublicKey(subjectPublicKeyInfo: [0x30, 0x80]) == nil)
    #expect(
      PublicKey(p256X: [UInt8](repeating: 1, count: 32), y: [UInt8](repeating: 2, count: 32)) == nil
    )
    #expect(PublicKey(p256X: [1], y: [2]) == nil)
    #expect(PublicKey(ed25519: [UInt8](repeating: 1, count: 31)) == nil)
    #expect(PublicKey(rsaModulus: [], exponent: [3]) == nil)
    #expect(PublicKey(rsaModulus: [UInt8](repeating: 0xFE, count: 256), exponent: [3]) == nil)
  }

  @Test func readsADerOfP256AndRefusesBytesBehindIt() throws {
    // RFC 7515 A.3's key as `openssl pkey -pubin -outform DER` writes it.
    let der =
      try #require(bytes(hex: "3059301306072a8648ce3d020106082a8648ce3d03010703420004"))
      + decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")
      + decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
    #expect(PublicKey(subjectPublicKeyInfo: der)?.algorithm == .ecdsaP256)
    #expect(PublicKey(subjectPublicKeyInfo: der + [0]) == nil)
    for count in 0..<der.count {
      #expect(PublicKey(subjectPublicKeyInfo: Array(der.prefix(count))) == nil)
    }
  }

  @Test func tellsHowLargeAnRSAKeyIs() throws {
    let key = try #require(examples[0].key())
    #expect(key.algorithm == .rsa(bits: 2_048))
  }
}
