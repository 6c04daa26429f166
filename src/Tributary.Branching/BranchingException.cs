namespace Tributary.Branching;

/// <summary>Carries an expected failure out of a step that has no value to give; caught where the step was begun.</summary>
internal sealed class BranchingException(BranchError error) : Exception(error.Message)
{
    public BranchError Error { get; } = error;
}
