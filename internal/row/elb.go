package row

import "fairlead/internal/state"

func elbTables() []state.TableInfo { return []state.TableInfo{Targets, TargetHealths} }
