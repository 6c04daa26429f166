namespace Tributary.Demo.Agents;

/// <summary>What an agent waited for.</summary>
/// <param name="Create">The create call alone.</param>
/// <param name="FirstRow">From the create request until the first row of a SELECT arrived from the branch.</param>
/// <param name="Total">From the agent's first question until its branch was deleted.</param>
public sealed record AgentTimings(TimeSpan Create, TimeSpan FirstRow, TimeSpan Total);
