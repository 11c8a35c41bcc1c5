// HTTPCodecTests
