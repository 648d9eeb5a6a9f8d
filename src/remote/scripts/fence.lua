-- FENCE: a new epoch, if that of the record began on another server, or has gone back behind what the sender has heard of it.
-- ARGV[3] the epoch that the sender knows, ARGV[4] how far it has heard of it. Answers the control record, or '' where there is none.
local c = read_control()
if not c then return '' end
local went_back = c.epoch == ARGV[3] and c.n < tonumber(ARGV[4])
if went_back or not is_own(c) then c = begin(c) end
return control_text(c)
