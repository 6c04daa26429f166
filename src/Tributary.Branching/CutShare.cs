namespace Tributary.Branching;

/// <summary>Requests that share one cut.</summary>
internal sealed class CutGroup
{
    /// <summary>Who waits for it.</summary>
    public int Members { get; set; }

    /// <summary>How many have ever joined.</summary>
    public int Joined { get; set; }

    /// <summary>The promoted spare belongs to the only member.</summary>
    public bool IsOneMembers { get; set; }

    public TaskCompletionSource<BranchResult<Cut>> Result { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>One request's part in a cut. What is not taken until it is disposed is given back.</summary>
internal sealed class CutShare(NowCuts cuts, CutGroup group) : IDisposable
{
    bool _taken;

    /// <summary>Waits for the cut. Its spare, if it has one, is then the caller's.</summary>
    public async Task<BranchResult<Cut>> TakeAsync(CancellationToken cancellationToken)
    {
        var cut = await group.Result.Task.WaitAsync(cancellationToken);
        _taken = true;
        return cut;
    }

    public void Dispose()
    {
        if (!_taken)
            cuts.Leave(group);
    }
}
