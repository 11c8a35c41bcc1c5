// ChannelKitTests
