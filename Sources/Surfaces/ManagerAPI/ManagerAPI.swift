// The room ManagerAPI.
