using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server.Api;

/// <summary>A branch that was made and the time it took, or why there is none.</summary>
readonly record struct Creation(Branch? Branch, TimeSpan Took, ProblemResponse? Problem);
