"""The welfare ministry's system of volunteers (衛福部志願服務資訊整合系統): hours out, rosters in, by files."""
