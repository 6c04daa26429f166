namespace Tributary.Load;

/// <summary>How long each step of a contestant's work took, over all its rounds.</summary>
sealed class StepDurations
{
    readonly Dictionary<string, Durations> _steps = [];

    public IEnumerable<Measurement> Measurements => _steps.Select(static step => new Measurement(Role.Part, step.Key, step.Value.ToString(), null, null));

    public void Add(IEnumerable<(string Step, TimeSpan Elapsed)> steps)
    {
        foreach (var (step, elapsed) in steps)
        {
            _steps.TryAdd(step, new Durations());
            _steps[step].Add(elapsed);
        }
    }
}
