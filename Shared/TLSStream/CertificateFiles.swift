public import Platform
public import TLS

/// A certificate and its key as files in PEM.
public struct CertificateFiles: Sendable, Equatable {
  public var certificate: FilePath
  public var key: FilePath

  public init(certificate: FilePath, key: FilePath) {
    self.certificate = certificate
    self.key = key
  }

  /// What the files hold, once it was found fit for use.
  public struct Loaded: Sendable {
    public let certificate: TLSCertificate
    /// Seconds since 1970.
    public let validUntil: Int64
  }

  /// Why the files can't be used, and what to do. Never shows what is in them.
  public struct Refused: Error, Equatable, Sendable, CustomStringConvertible {
    /// Which of the two files it is about.
    public enum Part: String, Sendable { case certificate, key }

    public let part: Part
    public let description: String

    init(part: Part, description: String) {
      self.part = part
      self.description = description
    }

    /// What libssl says of files that it could read.
    public init(_ files: CertificateFiles, _ error: TLSError) {
      self.init(
        part: .key, description: "\(files.key) does not go with \(files.certificate): \(error.reason)")
    }
  }

  /// A PEM file larger than this is some other file.
  public static let bytesMax = 1 << 20

  /// Reads both files and checks them: that the key is nobody else's to read, that it is the
  /// certificate's, and that the certificate is valid at `now`.
  ///
  /// - Parameter now: seconds since 1970.
  public func load(at now: Int64) throws(Refused) -> Loaded {
    let chain = try read(certificate, .certificate)
    try checkMode()
    let loaded = TLSCertificate(chain: chain, privateKey: try read(key, .key))
    let validity: ClosedRange<Int64>
    do throws(TLSError) {
      validity = try loaded.validity()
    } catch {
      throw Refused(
        part: .certificate,
        description: "\(certificate): \(error.reason); write the certificate and its chain as PEM")
    }
    try check(validity, now)
    do throws(TLSError) {
      _ = try TLSContext(server: loaded)
    } catch {
      throw Refused(self, error)
    }
    return Loaded(certificate: loaded, validUntil: validity.upperBound)
  }

  private func read(_ path: FilePath, _ part: Refused.Part) throws(Refused) -> [UInt8] {
    do throws(SystemError) {
      return try Files.read(path, bytesMax: Self.bytesMax)
    } catch {
      let remedy =
        error.isNotFound
        ? "write the path of a PEM file that exists" : "let the gateway's user read it"
      throw Refused(part: part, description: "\(path) can't be read: \(error.reason); \(remedy)")
    }
  }

  /// Whoever can read the key can be the server.
  private func checkMode() throws(Refused) {
    guard let status = try? Files.status(key), status.mode & 0o007 != 0 else { return }
    throw Refused(
      part: .key,
      description: "\(key) is open to every user of this machine: chmod o= \(key)")
  }

  private func check(_ validity: ClosedRange<Int64>, _ now: Int64) throws(Refused) {
    let day: Int64 = 86_400
    guard now >= validity.lowerBound else {
      throw Refused(
        part: .certificate,
        description: "\(certificate) is not valid yet, for \((validity.lowerBound - now) / day + 1) "
          + "days to come: set this machine's clock, or use another certificate")
    }
    guard now <= validity.upperBound else {
      throw Refused(
        part: .certificate,
        description: "\(certificate) expired \((now - validity.upperBound) / day) days ago: renew it")
    }
  }
}
