{ 'includes': ['native/ismio.gypi'] }
