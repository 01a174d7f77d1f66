package row

import "fairlead/internal/state"

func acmTables() []state.TableInfo { return []state.TableInfo{} }
