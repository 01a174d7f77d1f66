package row

import "fairlead/internal/state"

func ecsTables() []state.TableInfo { return []state.TableInfo{Tasks} }
