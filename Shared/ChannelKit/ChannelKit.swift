// ChannelKit
