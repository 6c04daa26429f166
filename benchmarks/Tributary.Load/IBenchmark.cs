namespace Tributary.Load;

/// <summary>One comparison on one machine in one run: Tributary, the ceiling that the machine sets, and what a user would pick instead.</summary>
interface IBenchmark
{
    /// <summary>The word after <c>./bench</c>.</summary>
    string Name { get; }

    /// <summary>What is measured, in one line.</summary>
    string Work { get; }

    /// <summary>What the ratio is, and where it must be.</summary>
    RatioGoal Goal { get; }

    /// <summary>Takes the words behind the name. Answers null, or what may stand there.</summary>
    string? Configure(IReadOnlyList<string> words) => words.Count == 0 ? null : "takes no options";

    /// <summary>Runs every contestant on the same work. Leaves nothing on the machine, also when it is cancelled.</summary>
    Task<BenchmarkOutcome> RunAsync(CancellationToken cancellationToken);
}

/// <param name="Of">What is divided by what, for example <c>our p50 / bare shell p50</c>.</param>
/// <param name="Bound">The last ratio that still meets the goal.</param>
/// <param name="LowerIsBetter">True for times, false for rates.</param>
sealed record RatioGoal(string Of, double Bound, bool LowerIsBetter)
{
    public bool IsMetBy(double ratio) => LowerIsBetter ? ratio <= Bound : ratio >= Bound;

    public override string ToString() => $"{(LowerIsBetter ? "<=" : ">=")}{Bound:0.00}";
}

/// <summary>What a run found.</summary>
/// <param name="Remark">What a reader must know to judge the figures, for example the size of the data.</param>
sealed record BenchmarkOutcome(IReadOnlyList<Measurement> Measurements, double Ratio, string Remark);

/// <summary>One contestant's line.</summary>
/// <param name="Figure">The result with its unit, for example <c>p50 84 ms, p99 97 ms</c>.</param>
/// <param name="CpuMs">Processor time a unit of work took, in milliseconds; null where it was not measured.</param>
/// <param name="MemoryBytes">Memory that a unit of work holds, shared pages divided among their users; null where it was not measured.</param>
sealed record Measurement(Role Role, string Contestant, string Figure, double? CpuMs, long? MemoryBytes);

enum Role
{
    Ours,

    /// <summary>The least that the machine lets anyone do for this work.</summary>
    Ceiling,

    /// <summary>What a user would pick instead.</summary>
    Peer,

    /// <summary>A share of the ceiling's work, to show where its time goes.</summary>
    Part,
}
