namespace Tributary.Branching;

/// <summary>Carries an expected failure out of a step that has no value to give; caught where the step was begun.</summary>
internal sealed class BranchingException(BranchError error, Exception? innerException = null) : Exception(error.Message, innerException)
{
    public BranchError Error { get; } = error;
}
