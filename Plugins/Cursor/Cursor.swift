// Cursor
