# %% [markdown]
# # Regression by hand
#
# This notebook computes a simple linear regression step by step, with nothing but Python. The data are the study hours and the points of five students.

# %%
hours = [1, 2, 3, 4, 5]
points = [52, 55, 61, 64, 68]

# %% [markdown]
# ## Means
#
# The **least-squares line** is the line that makes the sum of squared residuals as small as possible. It always passes through the point of the two means. The next cell computes both means.

# %%
mean_hours = sum(hours) / len(hours)
mean_points = sum(points) / len(points)
print(mean_hours, mean_points)

# %% [markdown]
# ## Slope and intercept
#
# The **slope** is the sum of products of the deviations divided by the sum of squared deviations of the feature. The **intercept** is the mean of the target minus the slope times the mean of the feature. The cell computes the slope first because the intercept needs it.

# %%
# Sum the products of both deviations.
products = sum((x - mean_hours) * (y - mean_points) for x, y in zip(hours, points))
# Divide by the squared deviations of the hours.
slope = products / sum((x - mean_hours) ** 2 for x in hours)
intercept = mean_points - slope * mean_hours
print(f"slope {slope:.2f}, intercept {intercept:.2f}")

# %% [markdown]
# ## Prediction
#
# A prediction is the intercept plus the slope times the hours. Each further hour of study is worth 4.1 points in these data. A student who studies six hours gets the following prediction, although six hours lie outside the data and extrapolation is risky.

# %%
print(round(intercept + slope * 6, 1))

# %% [markdown]
# ## Residuals and fit
#
# The **coefficient of determination** is the share of the variance of the target that the model explains. It is one minus the sum of squared residuals divided by the total sum of squares. A value near one means that the points lie close to the line. The cell computes the residuals and then the share.

# %%
predictions = [intercept + slope * x for x in hours]
residuals = [y - p for y, p in zip(points, predictions)]
print([round(r, 1) for r in residuals])

# %%
explained = 1 - sum(r**2 for r in residuals) / sum((y - mean_points) ** 2 for y in points)
print(f"R squared {explained:.3f}")

# %% [markdown]
# ## The logistic function
#
# The **logistic function** is a function that turns any number into a probability between zero and one. It is steepest at zero and flat at both ends. The cell evaluates it at three places.

# %%
import math


def logistic(z):
    return 1 / (1 + math.exp(-z))


print([round(logistic(z), 3) for z in (-2, 0, 2)])

# %% [markdown]
# ## Odds
#
# The **odds** of an event are its probability divided by the probability that it does not happen. A probability of 0.8 has odds of four, which means that the event happens four times as often as not. Logistic regression is linear in the logarithm of the odds.

# %%
probability = 0.8
odds = probability / (1 - probability)
print(round(odds, 2), round(math.log(odds), 3))

# %% [markdown]
# ## Gradient descent on one weight
#
# Gradient descent finds the slope of a line through the origin without a formula. Each step moves the weight against the gradient of the mean squared error. The loop prints the weight after every second step, and it settles because the steps shrink with the gradient.

# %%
xs, ys = [1, 2, 3], [2, 4, 6]
weight = 0.0
for step in range(1, 7):
    gradient = sum(2 * x * (weight * x - y) for x, y in zip(xs, ys)) / len(xs)
    weight -= 0.05 * gradient
    if step % 2 == 0:
        print(step, round(weight, 3))

# %% [markdown]
# ## Normal equations
#
# The **normal equations** are the linear equations whose solution is the least-squares estimate for any number of features. In matrix form they read $X^T X b = X^T y$, where $X$ holds one row for each case and a first column of ones for the intercept. The cell below builds data from the rule $y = 1 + 2 x_1 + 3 x_2$ without noise. Therefore, the solution has to give back exactly these weights, which makes the example a test of the code.

# %%
import numpy as np

features = np.array([[1, 0, 1], [1, 1, 0], [1, 2, 2], [1, 3, 1]])
target = features @ np.array([1, 2, 3])
# Solve the equations instead of inverting the matrix: it is faster and more exact.
weights = np.linalg.solve(features.T @ features, features.T @ target)
weights.round(6).tolist()

# %% [markdown]
# ## Standardization
#
# **Standardization** is the transformation that subtracts the mean of a feature and divides by its standard deviation. The result has mean zero and standard deviation one, so that features with different units become comparable. Gradient descent profits as well, because one learning rate then suits all weights. The mean and the standard deviation must come from the training data alone. The cell standardizes four areas in square metres.

# %%
import statistics

areas = [40, 60, 80, 100]
center = statistics.mean(areas)
spread = statistics.pstdev(areas)
print([round((area - center) / spread, 3) for area in areas])

# %% [markdown]
# ## Cross-entropy
#
# The **cross-entropy** of a prediction is the negative logarithm of the probability that was given to what really happened. A good model gives high probabilities to the truth and therefore has a low cross-entropy. The cell compares three predictions for two positive cases and one negative case. The third prediction is confidently wrong, and its loss is larger than the other two losses together.

# %%
import math

labels = [1, 0, 1]
chances = [0.9, 0.2, 0.1]
losses = [-math.log(p if label else 1 - p) for label, p in zip(labels, chances)]
print([round(loss, 3) for loss in losses], round(sum(losses) / 3, 3))

# %% [markdown]
# ## Fitting a logistic regression
#
# A logistic regression has no closed formula for its weights, so they are found by gradient descent. The gradient of the mean cross-entropy has a simple form: it is the mean of the prediction errors times the features. Six customers made between zero and five complaints, and three of them left. The cell takes 5,000 steps with a learning rate of 0.5. The classes overlap a little, because one customer with two complaints left and one with three stayed. As a result, the weights settle; with perfectly separated classes they would grow without end.

# %%
import math

complaints, left = [0, 1, 2, 3, 4, 5], [0, 0, 1, 0, 1, 1]
intercept, slope = 0.0, 0.0
for step in range(5000):
    # An error is the predicted probability minus the label.
    errors = [1 / (1 + math.exp(-(intercept + slope * x))) - y for x, y in zip(complaints, left)]
    intercept -= 0.5 * sum(errors) / 6
    slope -= 0.5 * sum(e * x for e, x in zip(errors, complaints)) / 6
print(f"intercept {intercept:.3f}, slope {slope:.3f}, odds ratio {math.exp(slope):.2f}")

# %% [markdown]
# ## Counting right and wrong decisions
#
# Probabilities become decisions through a threshold. The cell counts the four kinds of result for two thresholds: true positives, false positives, false negatives and true negatives. Lowering the threshold finds one more positive case. In exchange, it raises one more false alarm. Which is better depends on what each mistake costs.

# %%
truth = [1, 0, 1, 0, 1, 0]
scores = [0.9, 0.7, 0.6, 0.4, 0.35, 0.1]


def count_results(threshold):
    decisions = [score >= threshold for score in scores]
    pairs = list(zip(truth, decisions))
    # True positives, false positives, false negatives, true negatives.
    return [pairs.count(pair) for pair in ((1, True), (0, True), (1, False), (0, False))]


print(count_results(0.5))
print(count_results(0.35))

# %% [markdown]
# ## Overfitting with polynomials
#
# **Polynomial regression** is linear regression on the powers of a feature. A polynomial of degree $n - 1$ passes through all of $n$ points, whatever the points are. The cell fits six noisy points of the line $y = 2x$ with degree one and with degree five, and then predicts for $x = 6$, where the true value is 12. The training error of the flexible model is zero. However, its prediction is far off, because it has followed the noise.

# %%
import numpy as np

x = np.arange(6)
y = 2 * x + np.array([0.5, -0.5, 0.3, -0.4, 0.6, -0.2])
for degree in (1, 5):
    curve = np.polynomial.Polynomial.fit(x, y, degree)
    error = np.sqrt(np.mean((curve(x) - y) ** 2))
    print(f"degree {degree}: training error {error:.2f}, prediction {curve(6):.1f}")
