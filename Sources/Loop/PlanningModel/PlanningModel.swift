// The room PlanningModel.
