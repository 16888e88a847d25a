{ 'includes': ['native/ismio.gypi', 'bench/native/floors.gypi'] }
