// WebSocketCodecTests
