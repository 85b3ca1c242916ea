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
