"""Where videos come from: one adapter per public dataset behind one registry."""
