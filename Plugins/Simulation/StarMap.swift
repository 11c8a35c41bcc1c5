/// A star and what is called after it.
struct StarSystem: Sendable {
  let name: String
  /// What a faction that begins here is called first: `Centauri` Republic.
  let people: String
  /// Tenths of a light year from Sol.
  let x: Int
  let y: Int
  let z: Int

  init(_ name: String, _ people: String, _ x: Int, _ y: Int, _ z: Int) {
    self.name = name
    self.people = people
    self.x = x
    self.y = y
    self.z = z
  }
}

/// The stars around Sol, the same in every world. A system is known by its place in `systems`.
enum StarMap {
  static let sol = 0

  static let systems: [StarSystem] = [
    StarSystem("Sol", "Terran", 0, 0, 0),
    StarSystem("Alpha Centauri", "Centauri", -16, -14, -38),
    StarSystem("Proxima Centauri", "Proxima", -16, -12, -38),
    StarSystem("Barnard's Star", "Barnard", -1, -59, 5),
    StarSystem("Wolf 359", "Wolf", -74, 21, 10),
    StarSystem("Lalande 21185", "Lalande", -65, 16, 49),
    StarSystem("Sirius", "Sirian", -16, 81, -25),
    StarSystem("Luyten 726-8", "Luyten", 75, 35, -27),
    StarSystem("Ross 154", "Rossian", 19, -87, -39),
    StarSystem("Ross 248", "Andromedan", 74, -6, 72),
    StarSystem("Epsilon Eridani", "Eridani", 62, 83, -17),
    StarSystem("Lacaille 9352", "Lacaille", 85, -20, -63),
    StarSystem("Ross 128", "Virginian", -110, 6, 2),
    StarSystem("EZ Aquarii", "Aquarian", 102, -38, -30),
    StarSystem("Procyon", "Procyon", -48, 103, 10),
    StarSystem("61 Cygni", "Cygnian", 65, -61, 71),
    StarSystem("Struve 2398", "Draconian", 11, -58, 100),
    StarSystem("Groombridge 34", "Groombridge", 83, 7, 81),
    StarSystem("Epsilon Indi", "Indi", 57, -32, -99),
    StarSystem("Tau Ceti", "Cetian", 103, 50, -33),
    StarSystem("Luyten's Star", "Canine", -46, 114, 11),
  ]

  /// The square of the distance, in tenths of a light year: whole numbers, so that every machine
  /// finds the same star nearest.
  static func squaredDistance(_ a: Int, _ b: Int) -> Int { distances[a * systems.count + b] }

  /// All other systems, the nearest first.
  static func neighbours(of system: Int) -> [Int] { nearest[system] }

  /// The system of that name, byte for byte; nil where there is none.
  static func index(of name: String) -> Int? {
    systems.firstIndex { $0.name.utf8.elementsEqual(name.utf8) }
  }

  private static let distances: [Int] = systems.flatMap { a in
    systems.map { b in
      let (x, y, z) = (a.x - b.x, a.y - b.y, a.z - b.z)
      return x * x + y * y + z * z
    }
  }

  private static let nearest: [[Int]] = systems.indices.map { system in
    systems.indices.filter { $0 != system }
      .sorted { (squaredDistance(system, $0), $0) < (squaredDistance(system, $1), $1) }
  }
}
