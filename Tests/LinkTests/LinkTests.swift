// LinkTests
