package row

import "fairlead/internal/state"

func logsTables() []state.TableInfo { return []state.TableInfo{} }
