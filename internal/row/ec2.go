package row

import "fairlead/internal/state"

func ec2Tables() []state.TableInfo { return []state.TableInfo{NetworkInterfaces} }
